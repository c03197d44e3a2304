import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from mediagen.errors import MediaError
from mediagen.media.preview import preview, preview_image

DATA = Path(__file__).parents[1] / "data"


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    image.load()
    return image


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def test_preview_image_of_a_large_picture_is_small(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.linear_gradient("L").resize((2000, 1000)).save(path)
    assert opened(preview_image(path)).size == (768, 384)


def test_preview_image_never_enlarges() -> None:
    assert opened(preview_image(DATA / "chelsea.png")).size == (451, 300)


def test_preview_image_stays_within_the_bytes_even_for_noise(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    noise = random.Random(1).randbytes(1024 * 1024 * 3)
    Image.frombytes("RGB", (1024, 1024), noise).save(path)
    jpeg = preview_image(path, max_bytes=20_000)
    assert len(jpeg) <= 20_000
    assert len(preview_image(path)) <= 300_000


def test_preview_image_honours_the_orientation(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    image = Image.new("RGB", (200, 100), "black")
    image.paste("red", (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path, exif=exif, quality=95)
    shown = opened(preview_image(path))
    assert shown.size == (100, 200)
    assert pixel(shown, 50, 20)[0] > 200  # the left half is on top now
    assert 0x0112 not in shown.getexif()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_preview_image_lays_transparency_on_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).convert(mode).save(path)
    assert opened(preview_image(path)).getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "CMYK"])
def test_preview_image_reads_unusual_modes(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("odd.jpg" if mode == "CMYK" else "odd.png")
    Image.new(mode, (100, 60), 40_000 if mode == "I;16" else 0 if mode == "CMYK" else 255).save(path)
    shown = opened(preview_image(path))
    assert shown.mode == "RGB"
    assert min(pixel(shown, 50, 30)) > 120


async def test_preview_of_a_picture_is_a_jpeg() -> None:
    assert opened(await preview(DATA / "rocket.jpg", "image/jpeg", None) or b"").size == (640, 427)


async def test_preview_of_a_film_is_its_first_frame(ffmpeg: str) -> None:
    shown = opened(await preview(DATA / "bigbuckbunny.mp4", "video/mp4", ffmpeg) or b"")
    assert shown.size == (768, 432)


async def test_preview_of_a_film_looks_for_ffmpeg_itself(ffmpeg: str, tmp_path: Path) -> None:
    path = tmp_path / "a 100% odd: naïve 🐰 name.mp4"
    path.write_bytes((DATA / "bigbuckbunny.mp4").read_bytes())
    assert opened(await preview(path, "video/mp4", None) or b"").size == (768, 432)


async def test_preview_of_a_film_without_ffmpeg_says_what_to_install() -> None:
    with pytest.raises(MediaError, match=r"Install ffmpeg"):
        await preview(DATA / "bigbuckbunny.mp4", "video/mp4", "/nowhere/ffmpeg")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.ts", "file://{}"])
async def test_preview_of_a_playlist_opens_nothing_it_names(tmp_path: Path, ffmpeg: str, address: str) -> None:
    path = tmp_path / "list.mp4"
    film = address.format(DATA / "bigbuckbunny.mp4")
    path.write_text(f"#EXTM3U\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match=r"no video or sound of a known format"):
        await preview(path, "video/mp4", ffmpeg)


async def test_preview_of_sound_is_nothing() -> None:
    assert await preview(DATA / "chelsea.png", "audio/mpeg", None) is None


async def test_preview_of_a_broken_picture_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(MediaError, match=r"broken.png"):
        await preview(path, "image/png", None)


@pytest.mark.parametrize(
    ("mode", "suffix", "orientation"),
    [
        *((mode, "png", orientation) for mode in ("RGB", "RGBA", "LA", "L", "P", "1") for orientation in (1, 7)),
        ("RGB", "tiff", 6),
        ("CMYK", "tiff", 1),
    ],
)
def test_preview_image_made_in_strips_looks_like_the_picture(
    tmp_path: Path, mode: str, suffix: str, orientation: int
) -> None:
    size = (2399, 1201)
    with Image.open(DATA / "rocket.jpg") as rocket:
        image = rocket.resize(size).convert(mode)
    if "A" in mode:
        image.putalpha(128)
    path = tmp_path / f"large.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    flat = image.convert("RGBA") if "A" in mode else image.convert("RGB")
    if "A" in mode:
        flat = Image.alpha_composite(Image.new("RGBA", size, "white"), flat).convert("RGB")
    turns = {6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE}
    flat = flat.transpose(turns[orientation]) if orientation in turns else flat
    flat.thumbnail((768, 768))
    shown = opened(preview_image(path))
    assert shown.size == flat.size
    difference = ImageChops.difference(shown.convert("L"), flat.convert("L"))
    assert ImageStat.Stat(difference).rms[0] < (20 if mode == "1" else 3)
