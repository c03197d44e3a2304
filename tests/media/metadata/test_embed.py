"""Records go into every format and come back, and nothing else changes."""

import io
import os
import stat
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from tests.media.metadata.conftest import Make
from tests.media.metadata.samples import (
    FILMS,
    FOREIGN_XMP,
    STILLS,
    chunk,
    exif,
    ffmpeg,
    frames,
    packets,
    pixels,
    png_text,
    profile,
    segment,
    still,
    top_boxes,
    with_part,
    with_xmp,
)

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.metadata import embed_record, read_record
from mediagen.media.mp4 import read_mp4

ALL = STILLS + FILMS
RECORD = {
    "prompt": "Zwölf 🐈‍⬛\nแมวดำ & <b>\"quoted\"</b> ]]> 'x' \t end\r\n",
    "model": "veo-3.1",
    "lineage": {"parent": "job_1", "frame": 12, "ratio": 1.5, "none": None, "yes": True},
    "odd": "\x00\x07\x7f\x85\u2028\ud83d\ufffe\uffff",
    "list": ["\\", "\\u0041", "</mediagen:record>", "<!-- -->", "&amp;"],
}


@pytest.mark.parametrize("kind", ALL)
def test_record_comes_back_as_it_was(make: Make, kind: str) -> None:
    path = make(kind)
    assert read_record(path) is None
    assert embed_record(path, RECORD) is True
    assert read_record(path) == RECORD


@pytest.mark.parametrize("kind", ALL)
def test_file_with_a_record_may_take_another_name(make: Make, kind: str) -> None:
    path = make(kind)
    assert embed_record(path, RECORD, renamed="other") is True
    assert read_record(path.with_name("other")) == RECORD
    assert [each.name for each in path.parent.iterdir()] == ["other"]


def test_record_is_in_the_new_file_although_the_old_one_is_in_use(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("png")
    unlink = Path.unlink

    def refused(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise PermissionError
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    assert embed_record(path, RECORD, renamed="other") is True
    assert read_record(path.with_name("other")) == RECORD


def test_file_without_a_place_for_a_record_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(b"no picture")
    assert embed_record(path, RECORD, renamed="other") is False
    assert path.read_bytes() == b"no picture"
    assert not path.with_name("other").exists()


@pytest.mark.parametrize("kind", STILLS)
def test_pixels_of_a_picture_stay(make: Make, kind: str) -> None:
    path = make(kind)
    before, size = pixels(path), path.stat().st_size
    assert embed_record(path, {"model": "m"})
    assert pixels(path) == before
    assert 0 < path.stat().st_size - size < 1000
    with Image.open(path) as picture:
        picture.verify()
    # The ffmpeg here has no reader for moving WebP; Pillow's libwebp has read it.
    if kind != "animated.webp":
        assert frames(path)


@pytest.mark.parametrize("kind", FILMS)
def test_samples_of_a_film_stay(make: Make, kind: str) -> None:
    path = make(kind)
    before = (frames(path), packets(path), read_mp4(path), path.stat().st_size)
    assert embed_record(path, {"model": "m"})
    assert (frames(path), packets(path), read_mp4(path)) == before[:3]
    assert 0 < path.stat().st_size - before[3] < 1000


@pytest.mark.parametrize("kind", ["faststart.mp4", "mdat_first.mp4"])
def test_film_only_grows_at_its_end(make: Make, kind: str) -> None:
    path = make(kind)
    before = path.read_bytes()
    assert embed_record(path, RECORD)
    assert path.read_bytes()[: len(before)] == before
    assert top_boxes(path.read_bytes())[-1][0] == b"uuid"


def test_other_programs_find_the_record_in_a_film(make: Make) -> None:
    path = make("mdat_first.mp4")
    assert embed_record(path, {"model": "m"})
    told = ffmpeg("-export_xmp", "1", "-i", str(path), "-f", "ffmetadata", "-")
    assert b'<mediagen:record>{"model":"m"}</mediagen:record>' in told.replace(b"\\", b"")


def test_fragmented_film_keeps_its_index_last(make: Make) -> None:
    path = make("fragmented.mp4")
    assert top_boxes(path.read_bytes())[-1][0] == b"mfra"
    assert embed_record(path, RECORD)
    assert [name for name, *_ in top_boxes(path.read_bytes())][-2:] == [b"uuid", b"mfra"]


def test_open_last_box_of_a_film_is_given_its_length(make: Make) -> None:
    path = make("open.mp4")
    *_, (_, start, _) = top_boxes(path.read_bytes())
    assert embed_record(path, RECORD)
    data = path.read_bytes()
    assert struct.unpack_from(">I4s", data, start) == (1008, b"mdat")
    assert data[start + 1008 + 4 : start + 1008 + 8] == b"uuid"


@pytest.mark.parametrize("kind", ALL)
def test_second_record_replaces_the_first(make: Make, kind: str) -> None:
    path = make(kind)
    assert embed_record(path, {"prompt": "first"})
    once = path.read_bytes()
    assert embed_record(path, {"prompt": "second, longer"})
    assert read_record(path) == {"prompt": "second, longer"}
    data = path.read_bytes()
    assert b"first" not in data
    assert data.count(b"</mediagen:record>") == 1
    assert embed_record(path, {"prompt": "first"})
    assert path.read_bytes() == once


def test_same_record_again_does_not_write(make: Make) -> None:
    path = make("png")
    assert embed_record(path, RECORD)
    before = path.stat()
    assert embed_record(path, RECORD) is True
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_new_file_is_on_the_disk_before_it_takes_the_name_of_the_old_one(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("faststart.mp4")
    old = path.stat().st_ino
    synced: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_ino, path.stat().st_ino)))
    assert embed_record(path, RECORD)
    assert synced == [(path.stat().st_ino, old)]


@pytest.mark.parametrize("kind", ALL)
def test_foreign_packet_stays_byte_for_byte(make: Make, kind: str) -> None:
    path = make(kind)
    if kind == "open.mp4":
        pytest.skip("nothing can be put behind an open box")
    data = path.read_bytes()
    if kind.endswith("lossy.webp") or kind == "lossless.webp":
        assert embed_record(path, {"x": 1})  # makes it an extended file
        data = still(kind, xmp=FOREIGN_XMP)
    elif kind.endswith("webp"):
        data = still(kind, xmp=FOREIGN_XMP)
    else:
        data = with_xmp(data, FOREIGN_XMP)
    path.write_bytes(data)
    assert embed_record(path, RECORD)
    assert embed_record(path, RECORD | {"model": "other"})
    assert read_record(path) == RECORD | {"model": "other"}
    changed = path.read_bytes()
    head, tail = FOREIGN_XMP.split(b"</r:RDF>")
    assert changed.count(head) == changed.count(b"</r:RDF>" + tail) == 1
    assert changed.count(b"</mediagen:record>") == 1


def test_packet_amid_a_film_becomes_free_space_and_moves_to_the_end(make: Make) -> None:
    path = make("mdat_first.mp4")
    data = with_xmp(path.read_bytes(), FOREIGN_XMP) + struct.pack(">I4s", 12, b"abcd") + b"last"
    path.write_bytes(data)
    start = next(start for name, start, _ in top_boxes(data) if name == b"uuid")
    assert embed_record(path, RECORD)
    changed = path.read_bytes()
    assert changed[:start] == data[:start]
    assert changed.index(b"abcd") == data.index(b"abcd")
    assert [name for name, *_ in top_boxes(changed)][-3:] == [b"free", b"abcd", b"uuid"]
    assert changed.count(b"photoshop:City") == 1
    assert read_record(path) == RECORD
    assert frames(path)


def test_packet_amid_a_film_with_an_open_end_is_moved_too(make: Make) -> None:
    path = make("mdat_first.mp4")
    data = with_xmp(path.read_bytes(), FOREIGN_XMP) + struct.pack(">I4s", 0, b"free") + bytes(20)
    path.write_bytes(data)
    assert embed_record(path, RECORD)
    assert read_record(path) == RECORD
    assert [name for name, *_ in top_boxes(path.read_bytes())][-3:] == [b"free", b"free", b"uuid"]


@pytest.mark.parametrize("kind", STILLS)
def test_exif_profile_and_texts_stay(make: Make, kind: str) -> None:
    path = make(kind)
    extra = {"pnginfo": png_text(Software="GIMP", Comment="kept")} if kind == "png" else {}
    path.write_bytes(still(kind, exif=exif(), icc_profile=profile(), **extra))
    with Image.open(path) as before:
        before.load()
        known = (before.getexif()[0x010F], before.info["icc_profile"], before.info.get("Comment"))
    assert embed_record(path, RECORD)
    with Image.open(path) as after:
        after.load()
        assert (after.getexif()[0x010F], after.info["icc_profile"], after.info.get("Comment")) == known
        assert b"mediagen:record" in after.info["xmp"]


@pytest.mark.parametrize("kind", ["lossy.webp", "lossless.webp", "alpha.webp"])
def test_webp_says_truly_what_it_holds(make: Make, kind: str) -> None:
    path = make(kind)
    assert embed_record(path, {"model": "m"})
    data = path.read_bytes()
    assert data[12:16] == b"VP8X"
    assert bool(data[20] & 0x10) is (kind == "alpha.webp")
    assert data[20] & 0x04
    assert (int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1) == (90, 60)
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8


def test_viewers_are_shown_the_prompt_and_the_tool(make: Make) -> None:
    path = make("png")
    assert embed_record(path, {"prompt": "a cat & <dog>\x07"})
    with Image.open(path) as picture:
        packet = picture.info["xmp"]
    assert b"<xmp:CreatorTool>mediagen</xmp:CreatorTool>" in packet
    assert '<rdf:li xml:lang="x-default">a cat &amp; &lt;dog&gt;\ufffd</rdf:li>'.encode() in packet
    assert embed_record(path, {"model": "m"})
    assert b"dc:description" not in path.read_bytes()


def test_long_texts_are_shortened_with_a_mark(make: Make) -> None:
    for kind in ("png", "jpeg", "faststart.mp4"):
        path = make(kind)
        before = path.stat().st_size
        assert embed_record(path, {"prompt": "แมว&" * 50_000, "model": "m", "seed": 2**70})
        record = read_record(path)
        assert record is not None
        assert (record["model"], record["seed"]) == ("m", 2**70)
        assert record["prompt"].startswith("แมว&แมว&")
        assert record["prompt"].endswith("… [shortened]")
        assert 25_000 < path.stat().st_size - before < 40_000


def test_record_too_large_to_shorten_is_not_embedded(make: Make) -> None:
    path = make("png")
    before = path.read_bytes()
    assert embed_record(path, {f"key{number}": number for number in range(20_000)}) is False
    assert path.read_bytes() == before


def test_jpeg_with_little_room_gets_a_shorter_record(make: Make) -> None:
    path = make("jpeg")
    filled = FOREIGN_XMP.replace(b"<!-- kept -->", b"<!--" + b"k" * 50_000 + b"-->")
    path.write_bytes(with_xmp(path.read_bytes(), filled))
    assert embed_record(path, {"prompt": "x" * 30_000})
    record = read_record(path)
    assert record is not None
    assert 2000 < len(record["prompt"]) < 15_000
    assert pixels(path)
    full = with_xmp(make("jpeg").read_bytes(), filled.replace(b"k" * 50_000, b"k" * 64_000))
    path.write_bytes(full)
    assert embed_record(path, {"prompt": "x"}) is False
    assert path.read_bytes() == full


def test_jpeg_with_pictures_behind_it_keeps_their_distance(make: Make) -> None:
    path = make("jpeg")
    mpf = segment(0xE2, b"MPF\0" + bytes(40))
    plain = with_part(path.read_bytes(), b"")
    at = 2 + 2 + struct.unpack_from(">H", plain, 4)[0]
    path.write_bytes(plain[:at] + mpf + plain[at:] + plain)
    assert embed_record(path, RECORD)
    data = path.read_bytes()
    assert data.index(b"http://ns.adobe.com/xap") < data.index(b"MPF\0")
    assert data.endswith(mpf + plain[at:] + plain)
    late = plain[:at] + mpf + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + FOREIGN_XMP) + plain[at:]
    path.write_bytes(late)
    assert embed_record(path, RECORD) is False
    assert path.read_bytes() == late


def test_compressed_packet_of_a_png_is_read_and_replaced(make: Make) -> None:
    path = make("png")
    packet = chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(FOREIGN_XMP))
    path.write_bytes(with_part(path.read_bytes(), packet))
    assert embed_record(path, RECORD)
    assert read_record(path) == RECORD
    assert b"photoshop:Credit" in path.read_bytes()


def test_record_that_a_tool_moved_is_still_read_and_replaced(make: Make) -> None:
    moved = (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:1" '
        b"xmlns:q='urn:x-mediagen:record:1.0:' xmlns:p='http://ns.adobe.com/photoshop/1.0/' "
        b"  p:City=' q:record=\"no\"' "
        b'q:record=\'{"model":"old"}\' p:State="Z"/></rdf:RDF>'
    )
    path = make("png")
    path.write_bytes(with_xmp(path.read_bytes(), moved))
    assert read_record(path) == {"model": "old"}
    assert embed_record(path, {"model": "new"})
    assert read_record(path) == {"model": "new"}
    data = path.read_bytes()
    assert b"old" not in data
    assert b'p:City=\' q:record="no"\' p:State="Z"/>' in data
    assert data.count(b'rdf:about="uuid:1"') == 2


@pytest.mark.skipif(os.name != "posix", reason="permissions are of POSIX")
def test_permissions_and_links_stay(make: Make) -> None:
    path = make("png")
    path.chmod(0o640)
    link = path.with_name("link.png")
    link.symlink_to(path.name)
    assert embed_record(link, RECORD)
    assert link.is_symlink()
    assert read_record(path) == RECORD
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted([path.name, link.name])


def test_record_that_is_no_json_is_refused(make: Make) -> None:
    path = make("png")
    before = path.read_bytes()
    for value in (object(), float("nan"), {1, 2}, b"bytes"):
        with pytest.raises(InvalidRequestError, match="no JSON"):
            embed_record(path, {"value": value})
    assert path.read_bytes() == before


def test_file_that_changes_meanwhile_keeps_the_change(make: Make) -> None:
    path = make("png")
    changed = path.read_bytes() + b"written by another program"

    class Interrupting(dict[str, str]):
        def get(self, *_: object) -> None:  # type: ignore[override] # asked for the prompt while the file is open
            path.write_bytes(changed)

    assert embed_record(path, Interrupting(model="m")) is False
    assert path.read_bytes() == changed
    assert list(path.parent.iterdir()) == [path]


def test_other_formats_are_left_alone(tmp_path: Path) -> None:
    gif = io.BytesIO()
    Image.new("RGB", (4, 4)).save(gif, "gif")
    for number, data in enumerate((b"", b"text", gif.getvalue(), b"\x1a\x45\xdf\xa3webm" + bytes(50))):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(data)
        assert embed_record(path, RECORD) is False
        assert read_record(path) is None
        assert path.read_bytes() == data


def test_missing_file_and_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(MediaError) as told:
            embed_record(path, RECORD)
        assert told.value.code == "unreadable_media"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(MediaError):
        read_record(tmp_path / "pipe.png")
