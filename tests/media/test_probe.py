import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediagen.errors import MediaError
from mediagen.media.probe import MediaFacts, probe, probe_file

DATA = Path(__file__).parents[1] / "data"


def claiming_png(width: int, height: int) -> bytes:
    """A valid PNG header that claims a size, with next to no data."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        crc = zlib.crc32(kind + payload)
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def picture(format_name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((120, 80)).save(out, format=format_name, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "mime_type", "width", "height"),
    [("chelsea.png", "image/png", 451, 300), ("rocket.jpg", "image/jpeg", 640, 427)],
)
async def test_probe_measures_real_pictures(name: str, mime_type: str, width: int, height: int) -> None:
    size = (DATA / name).stat().st_size
    assert await probe_file(DATA / name) == MediaFacts(mime_type=mime_type, width=width, height=height, size_bytes=size)


async def test_probe_measures_a_real_film() -> None:
    facts = await probe_file(DATA / "bigbuckbunny.mp4")
    assert (facts.mime_type, facts.width, facts.height, facts.fps) == ("video/mp4", 1280, 720, 25.0)
    assert facts.has_audio is True
    assert facts.size_bytes == 1055736


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_probe_believes_the_bytes_and_not_the_name(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "picture.mp4"
    path.write_bytes(picture(format_name))
    facts = probe(path)
    assert (facts.mime_type, facts.width, facts.height) == (f"image/{format_name.lower()}", 120, 80)


def test_probe_gives_the_size_as_shown(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    path.write_bytes(picture("JPEG", exif=exif))
    facts = probe(path)
    assert (facts.width, facts.height) == (80, 120)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_probe_refuses_pictures_that_are_cut_off(tmp_path: Path, format_name: str, share: float) -> None:
    content = picture(format_name)
    path = tmp_path / "cut.img"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MediaError, match=r"cut.img"):
        probe(path)


@pytest.mark.parametrize("name", ["chelsea.png", "rocket.jpg"])
def test_probe_refuses_a_real_picture_that_is_cut_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((DATA / name).read_bytes()[:-4096])
    with pytest.raises(MediaError, match=r"damaged or cut off"):
        probe(path)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (10_001, 10_000), (15_000, 10_000)])
def test_probe_refuses_pixel_bombs(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(claiming_png(width, height))
    with pytest.raises(MediaError, match=r"more than 100 million pixels") as raised:
        probe(path)
    assert raised.value.code == "too_many_pixels"


@pytest.mark.parametrize("content", [b"", b"words", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_probe_refuses_what_is_no_media(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"odd.png"):
        probe(path)


def test_probe_says_when_the_file_is_gone(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone.png cannot be read"):
        probe(tmp_path / "gone.png")
