"""Whatever a file holds, it is read, cleaned or refused."""

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.fuzz.hostile import TESTS, damaged, holds, odd

from mediagen.endpoints.wire.media import sniff_mime_type
from mediagen.media.fitting_facts import _read_without_ffmpeg
from mediagen.media.metadata.files import embed_record, has_c2pa, read_record
from mediagen.media.metadata.layout import NotUnderstoodError
from mediagen.media.metadata.packet import add_record, empty_packet, read_packet
from mediagen.media.metadata.record import parse_record, record_text
from mediagen.media.mp4 import read_mp4
from mediagen.media.private_data import read_exif, remove_private_data, tells_place
from mediagen.media.sniff import sniff

JUMBF = struct.pack(">I4s", 40, b"jumb") + struct.pack(">I4s", 32, b"jumd") + b"c2pa" + bytes(20)
RECORD = {"version": "mediagen.sidecar.v1", "prompt": "a fox", "type": "image"}


def _box(kind: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _still(kind: str) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    tags.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, kind, exif=tags)
    return file.getvalue()


def _film() -> bytes:
    """The boxes of a real film without its frames."""
    data = (TESTS / "data" / "bigbuckbunny.mp4").read_bytes()
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append(data[at : at + size] if kind != b"mdat" else _box(b"mdat", bytes(16)))
        at += size
    return b"".join(found)


def _fragmented() -> bytes:
    header = _box(b"tfhd", struct.pack(">III", 0x8, 1, 40))
    runs = _box(b"trun", struct.pack(">II", 0x100, 2), struct.pack(">II", 40, 41))
    extends = _box(b"mvex", _box(b"trex", struct.pack(">IIIIII", 0, 1, 1, 40, 0, 0)))
    film = _film()
    at = film.index(b"moov") - 4
    size = struct.unpack_from(">I", film, at)[0]
    movie = _box(b"moov", film[at + 8 : at + size], extends)
    return film[:at] + movie + film[at + size :] + _box(b"moof", _box(b"traf", header, runs))


STILLS = {f"image/{kind}": _still(kind) for kind in ("png", "jpeg", "webp")}
FILMS = [_film(), _fragmented()]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> list[bytes]:
    """Each sample, and the same with a record of ours inside."""
    folder = tmp_path_factory.mktemp("samples")
    found = []
    for number, data in enumerate([*STILLS.values(), *FILMS]):
        path = folder / str(number)
        path.write_bytes(data)
        assert embed_record(path, RECORD)
        found += [data, path.read_bytes()]
    return found


@given(st.data())
def test_any_film(tmp_path_factory, data):
    path = Path(tmp_path_factory.getbasetemp()) / "any.mp4"
    film = data.draw(damaged(FILMS))
    path.write_bytes(film)
    holds(read_mp4, path)
    holds(_read_without_ffmpeg, path)
    holds(sniff, film)


@given(st.lists(st.sampled_from([b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf"]), max_size=30))
def test_any_nest_of_boxes(tmp_path_factory, kinds):
    path = Path(tmp_path_factory.getbasetemp()) / "nest.mp4"
    inner = b""
    for kind in kinds * 40:
        inner = _box(kind, inner)
    path.write_bytes(_box(b"ftyp", b"isom") + _box(b"moov", inner))
    for read in (read_mp4, _read_without_ffmpeg, has_c2pa, read_record):
        holds(read, path)


@given(st.data())
def test_any_file_with_metadata(tmp_path_factory, embedded, data):
    path = Path(tmp_path_factory.getbasetemp()) / "any.bin"
    path.write_bytes(data.draw(damaged(embedded)))
    holds(has_c2pa, path)
    holds(read_record, path)
    before = path.read_bytes()
    if holds(embed_record, path, RECORD):
        assert read_record(path) == RECORD
    else:
        assert path.read_bytes() == before


@given(st.data(), st.sampled_from(sorted(STILLS)))
def test_any_picture_is_cleaned_or_given_up(data, mime_type):
    picture = data.draw(damaged([STILLS[mime_type]]))
    cleaned = holds(remove_private_data, picture, mime_type)
    assert cleaned is None or 1 <= cleaned.orientation <= 8
    holds(sniff, picture)
    assert holds(sniff_mime_type, picture, mime_type)


TIFF = (
    struct.pack("<2sHIH", b"II", 42, 8, 2)
    + struct.pack("<HHII", 0x8825, 4, 1, 8)
    + struct.pack("<HHII", 0x112, 3, 1, 6)
)


@given(damaged([TIFF]) | st.binary(max_size=60))
def test_any_exif(tiff):
    orientation, _ = holds(read_exif, tiff)
    assert 1 <= orientation <= 8
    holds(tells_place, tiff)


PACKETS = [add_record(empty_packet(), '{"a":1}', "a fox"), empty_packet().data]


def _read(data: bytes) -> str | None:
    try:
        return read_packet(data).record
    except NotUnderstoodError:  # what the readers of the formats expect
        return None


@given(damaged(PACKETS) | st.integers(1, 3000).map(lambda depth: PACKETS[0][:-200] + b"<a>" * depth))
def test_any_xmp(data):
    record = holds(_read, data)
    if record is not None:
        holds(parse_record, record)


@given(st.dictionaries(st.text(max_size=9), odd(), max_size=4), st.integers(0, 4000))
def test_any_record_fits_or_is_refused(record, max_bytes):
    text = holds(record_text, record, max_bytes)
    if text is not None:
        assert len(text.encode()) <= max_bytes
        assert isinstance(parse_record(text), dict)


@given(st.binary(max_size=5000) | st.binary(max_size=40).map(lambda data: b"\0\0\0\x18ftyp" + data))
def test_any_first_bytes(head):
    holds(sniff, head)
    holds(sniff_mime_type, head, "image/png")
