"""Files with a C2PA manifest are recognised and never changed."""

import struct
from pathlib import Path

import pytest
from tests.media.metadata.conftest import Make
from tests.media.metadata.samples import (
    C2PA_UUID,
    DATA,
    FILMS,
    FOREIGN_XMP,
    JUMBF,
    STILLS,
    box,
    chunk,
    segment,
    signed,
    with_part,
    with_xmp,
)

from mediagen.media.metadata import embed_record, has_c2pa, read_record

CLOSED = tuple(kind for kind in STILLS + FILMS if kind != "open.mp4")


@pytest.mark.parametrize("kind", CLOSED)
def test_signed_file_is_recognised_and_stays_byte_for_byte(make: Make, kind: str) -> None:
    path = make(kind)
    assert has_c2pa(path) is False
    path.write_bytes(signed(path.read_bytes()))
    before, entry = path.read_bytes(), path.stat()
    assert has_c2pa(path) is True
    assert embed_record(path, {"model": "m"}) is False
    assert path.read_bytes() == before
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (entry.st_ino, entry.st_mtime_ns)
    assert read_record(path) is None


@pytest.mark.parametrize("name", ["chelsea.png", "rocket.jpg", "bigbuckbunny.mp4"])
def test_real_unsigned_files_are_not_taken_for_signed(name: str) -> None:
    assert has_c2pa(DATA / name) is False


def test_manifest_before_the_film_and_with_a_long_length_is_found(make: Make) -> None:
    path = make("faststart.mp4")
    data = path.read_bytes()
    at = struct.unpack_from(">I", data)[0]
    body = C2PA_UUID + bytes(30)
    long = struct.pack(">I4sQ", 1, b"uuid", 16 + len(body)) + body
    path.write_bytes(data[:at] + long + data[at:])
    assert has_c2pa(path)


def test_manifest_of_a_heif_picture_is_found(tmp_path: Path) -> None:
    path = tmp_path / "picture.heic"
    path.write_bytes(box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"uuid", C2PA_UUID + bytes(30)))
    assert has_c2pa(path)
    assert embed_record(path, {}) is False


def test_manifest_named_elsewhere_counts(make: Make) -> None:
    packet = FOREIGN_XMP.replace(
        b"<!-- kept -->", b'<t:provenance xmlns:t="http://purl.org/dc/terms/">https://example.com/m</t:provenance>'
    )
    path = make("jpeg")
    path.write_bytes(with_xmp(path.read_bytes(), packet))
    before = path.read_bytes()
    assert has_c2pa(path)
    assert embed_record(path, {}) is False
    assert path.read_bytes() == before


def test_manifest_in_a_damaged_file_is_still_seen(make: Make) -> None:
    for kind in CLOSED:
        path = make(kind)
        data = signed(path.read_bytes())
        end = data.index(JUMBF) + 20
        path.write_bytes(data[:end])
        assert has_c2pa(path), kind
        assert embed_record(path, {}) is False


def test_manifest_behind_a_damaged_packet_is_still_seen(make: Make) -> None:
    path = make("png")
    data = path.read_bytes()
    broken = chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0no zlib") + chunk(b"caBX", JUMBF)
    path.write_bytes(with_part(data, broken))
    assert has_c2pa(path)
    huge = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b" " * 2_000_000) + chunk(b"caBX", JUMBF)
    path.write_bytes(with_part(data, huge))
    assert has_c2pa(path)


def test_manifest_behind_the_first_scan_is_seen(make: Make) -> None:
    path = make("jpeg")
    data = path.read_bytes()
    manifest = segment(0xEB, b"JP" + struct.pack(">HI", 1, 1) + JUMBF)
    path.write_bytes(data[:-2] + manifest + data[-2:])
    assert has_c2pa(path)


def test_other_application_segment_is_no_manifest(make: Make) -> None:
    path = make("jpeg")
    path.write_bytes(with_part(path.read_bytes(), segment(0xEB, b"HDR_RI ver=11\n")))
    assert has_c2pa(path) is False
    assert embed_record(path, {"model": "m"})
