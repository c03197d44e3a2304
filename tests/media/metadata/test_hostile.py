"""Damaged and malicious files end in an answer, soon, and are never changed."""

import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import pytest
from tests.media.metadata.conftest import Make
from tests.media.metadata.samples import FILMS, FOREIGN_XMP, STILLS, box, chunk, segment, still, with_part, with_xmp

from mediagen.errors import MediaError
from mediagen.media.metadata import embed_record, has_c2pa, read_record

ALL = STILLS + FILMS
BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"""
RECORDED = FOREIGN_XMP.replace(
    b"<!-- kept -->", b'<m:record xmlns:m="urn:x-mediagen:record:1.0:">{"model":"m"}</m:record>'
)


@pytest.mark.parametrize("kind", ALL)
def test_file_cut_off_anywhere_is_read_without_a_crash(make: Make, kind: str) -> None:
    path = make(kind)
    assert embed_record(path, {"model": "m" * 500})
    whole = path.read_bytes()
    for length in {*range(0, len(whole), 1000), *range(0, 300, 7), *range(len(whole) - 900, len(whole), 37)}:
        cut = whole[: max(0, length)]
        path.write_bytes(cut)
        assert has_c2pa(path) is False
        read_record(path)
        if embed_record(path, {"model": "other"}):
            # A film may end behind any of its boxes.
            assert kind.endswith("mp4")
            assert read_record(path) == {"model": "other"}
        else:
            assert path.read_bytes() == cut


@pytest.mark.parametrize("kind", ALL)
def test_file_with_a_wrong_byte_anywhere_is_read_without_a_crash(make: Make, kind: str) -> None:
    path = make(kind)
    assert embed_record(path, {"model": "m"})
    whole = path.read_bytes()
    places = {*range(0, 400, 3), *range(400, len(whole), len(whole) // 60 + 1), *range(len(whole) - 300, len(whole), 7)}
    for at in places:
        damaged = whole[:at] + bytes([whole[at] ^ (0xFF if at % 2 else 0x80)]) + whole[at + 1 :]
        path.write_bytes(damaged)
        has_c2pa(path)
        read_record(path)
        if embed_record(path, {"model": "other"}):
            assert read_record(path) == {"model": "other"}
        else:
            assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "packet",
    [
        BOMB + RECORDED,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + RECORDED,
        RECORDED.replace(b'{"model"', b'&b;{"model"'),
        RECORDED.replace(b'{"model":"m"}', b"[" * 100_000),
        RECORDED.replace(b'{"model":"m"}', b'["a list"]'),
        RECORDED.replace(b'{"model":"m"}', b"1" * 10_000),
        b"<a>" * 50_000 + b"</a>" * 50_000,
        RECORDED.decode().encode("utf-16"),
        RECORDED[:-200],
        RECORDED + b"<x/>",
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_hostile_packet_tells_nothing(make: Make, packet: bytes) -> None:
    path = make("png")
    path.write_bytes(with_xmp(path.read_bytes(), packet))
    assert read_record(path) is None


@pytest.mark.parametrize("packet", [BOMB + FOREIGN_XMP, b"<broken", b"<a/>", b"<x>" * 200 + b"</x>" * 200])
def test_packet_that_is_not_understood_stays_and_gets_no_record(make: Make, packet: bytes) -> None:
    for kind in ("png", "jpeg", "mdat_first.mp4"):
        path = make(kind)
        before = with_xmp(path.read_bytes(), packet)
        path.write_bytes(before)
        assert embed_record(path, {"model": "m"}) is False
        assert path.read_bytes() == before


def test_several_packets_are_left_alone(make: Make) -> None:
    path = make("png")
    before = with_xmp(with_xmp(path.read_bytes(), FOREIGN_XMP), RECORDED)
    path.write_bytes(before)
    assert embed_record(path, {"model": "n"}) is False
    assert path.read_bytes() == before
    assert read_record(path) == {"model": "m"}


def test_foreign_typed_node_is_not_lost(make: Make) -> None:
    path = make("png")
    packet = b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><q:Thing xmlns:q="urn:q:"/></r:RDF>'
    before = with_xmp(path.read_bytes(), packet)
    path.write_bytes(before)
    assert embed_record(path, {"model": "m"}) is False
    assert path.read_bytes() == before


def test_packet_without_statements_is_filled(make: Make) -> None:
    path = make("png")
    packet = b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>' + b"\0" * 20
    path.write_bytes(with_xmp(path.read_bytes(), packet))
    assert embed_record(path, {"model": "m"})
    assert read_record(path) == {"model": "m"}


def test_inflating_packet_is_bounded(make: Make) -> None:
    path = make("png")
    bomb = chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(b" " * 200_000_000, 1))
    before = with_part(path.read_bytes(), bomb)
    path.write_bytes(before)
    started = time.process_time()
    assert read_record(path) is None
    assert embed_record(path, {"model": "m"}) is False
    assert time.process_time() - started < 2
    assert path.read_bytes() == before


def test_files_made_to_take_long_are_answered_soon(tmp_path: Path) -> None:
    head = still("jpeg")
    scan = head.index(b"\xff\xda")
    hostile = {
        "many.mp4": box(b"ftyp", b"isom\0\0\0\0") + box(b"free", b"") * 1_000_000,
        "many.png": still("png")[:33] + chunk(b"teXt", b"") * 600_000,
        "many.webp": b"RIFF" + struct.pack("<I", 4 + 8 * 10**6) + b"WEBP" + (b"none" + bytes(4)) * 10**6,
        "filled.jpg": head[: scan + 14] + b"\xff" * 20_000_000 + b"\0",
        "segments.jpg": b"\xff\xd8" + segment(0xEC, b"") * 1_000_000 + b"\xff\xd9",
    }
    for name, data in hostile.items():
        path = tmp_path / name
        path.write_bytes(data)
        started = time.process_time()
        assert has_c2pa(path) is False
        assert time.process_time() - started < 5, name


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_process_leaves_the_old_or_the_new_file(make: Make, tmp_path: Path) -> None:
    path = make("faststart.mp4")
    path.write_bytes(path.read_bytes() + box(b"free", bytes(8_000_000)))
    before = path.read_bytes()
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            import os, signal, sys
            from pathlib import Path
            from mediagen.media.metadata import files

            step, calls = sys.argv[2], []
            def die(*arguments, **options):
                os.kill(os.getpid(), signal.SIGKILL)
            def die_at_third(*arguments, **options):
                calls.append(1)
                return die() if len(calls) == 2 else original(*arguments, **options)
            original = files._write_piece
            replace = files._replace
            if step == "write":
                files._write_piece = die_at_third
            elif step == "replaced":
                files._replace = lambda *arguments: die(replace(*arguments))
            else:
                setattr(files, step, die)
            files.embed_record(Path(sys.argv[1]), {"model": "m"})
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for step in ("write", "_take_over", "_replace"):
        killed = subprocess.run([sys.executable, str(program), str(path), step], env=environment, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert path.read_bytes() == before
    killed = subprocess.run([sys.executable, str(program), str(path), "replaced"], env=environment, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert read_record(path) == {"model": "m"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_full_disk_leaves_the_file_and_nothing_beside_it(make: Make) -> None:
    import resource

    path = make("faststart.mp4")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(MediaError, match="was not put into") as told:
            embed_record(path, {"model": "m"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert told.value.code == "not_writable"
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
