import io
import os
import struct
import sys
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, features

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media import pictures
from mediagen.media.inputs import InputLoader, InputMedia
from mediagen.media.pictures import PreparedPicture, prepare_picture

DATA = Path(__file__).parents[1] / "data"
LIMIT = 20 * 1024**2
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RED, GREEN, BLUE, WHITE = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)


def corners() -> Image.Image:
    """Red, green, blue and white corners, clockwise from the upper left; wider than high."""
    image = Image.new("RGB", (96, 64))
    for box, color in {(0, 0): RED, (48, 0): GREEN, (48, 32): BLUE, (0, 32): WHITE}.items():
        image.paste(color, (*box, box[0] + 48, box[1] + 32))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def prepared(data: bytes, kind: str, max_bytes: int = LIMIT) -> PreparedPicture:
    return prepare_picture(data, f"image/{kind}", "photo", max_bytes=max_bytes)


def orientation_tag(value: int, *, gps: bool = False) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = value
    if gps:
        tags.get_ifd(0x8825).update({1: "N", 2: (13.0, 45.0, 12.0)})
    return tags.tobytes()


def assert_alike(first: Image.Image, second: Image.Image, tolerance: int = 40) -> None:
    assert first.size == second.size
    difference = ImageChops.difference(first.convert("RGB"), second.convert("RGB"))
    means = [band.resize((8, 8), Image.Resampling.BOX).getextrema()[1] for band in difference.split()]
    assert max(int(str(mean)) for mean in means) <= tolerance


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3))


def stored_from(upright: Image.Image, orientation: int) -> Image.Image:
    """The picture as a camera stores it that was held so that `orientation` makes it upright again."""
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    return upright if inverse is None else upright.transpose(inverse)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_picture_is_turned_upright(kind: str, orientation: int) -> None:
    data = saved(stored_from(corners(), orientation), kind, exif=orientation_tag(orientation, gps=True))
    result = prepared(data, kind)
    assert (result.width, result.height) == opened(result.data).size == (96, 64)
    assert_alike(opened(result.data), corners())
    assert dict(opened(result.data).getexif()) == {}
    assert ("turned upright" in (result.conversion or "")) == (orientation != 1)
    assert (result.conversion or "").endswith("location data removed")


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_without_meaning_is_ignored(value: int) -> None:
    result = prepared(saved(corners(), "JPEG", exif=orientation_tag(value)), "jpeg")
    assert (result.conversion, result.width) == ("metadata removed", 96)


def test_turning_keeps_profile_and_transparency() -> None:
    image = corners().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    result = prepared(saved(image, "PNG", exif=orientation_tag(6), icc_profile=SRGB), "png")
    turned = opened(result.data)
    assert (turned.mode, turned.size, turned.info["icc_profile"]) == ("RGBA", (64, 96), SRGB)
    assert turned.tobytes() == image.transpose(Image.Transpose.ROTATE_270).tobytes()


def test_turned_photo_stays_a_jpeg_and_its_comment_is_gone() -> None:
    result = prepared(saved(corners(), "JPEG", exif=orientation_tag(3), comment="Somchai"), "jpeg")
    assert result.mime_type == "image/jpeg"
    assert b"Somchai" not in result.data
    assert result.conversion == "turned upright, metadata removed"


def test_photo_with_too_many_pixels_is_scaled() -> None:
    result = prepared(saved(Image.new("RGB", (6000, 4000), RED), "JPEG", icc_profile=SRGB), "jpeg")
    assert result.conversion == "6000x4000 scaled to 5477x3651"
    image = opened(result.data)
    assert (result.width, result.height) == image.size == (5477, 3651)
    assert (result.mime_type, image.info["icc_profile"]) == ("image/jpeg", SRGB)


def test_scaled_photo_that_lay_on_its_side_is_told_as_shown() -> None:
    lying = Image.new("RGB", (6000, 4000), RED)
    result = prepared(saved(lying, "JPEG", exif=orientation_tag(6)), "jpeg")
    assert result.conversion == "turned upright, 4000x6000 scaled to 3651x5477, metadata removed"
    assert opened(result.data).size == (3651, 5477)


def test_large_drawing_is_scaled_as_png() -> None:
    data = saved(corners().resize((5000, 5000), Image.Resampling.NEAREST).quantize(8), "PNG")
    result = prepared(data, "png")
    assert (result.mime_type, result.conversion) == ("image/png", "5000x5000 scaled to 4472x4472")
    assert_alike(opened(result.data).resize((96, 64)), corners())


def test_very_long_picture_is_scaled() -> None:
    result = prepared(saved(Image.new("L", (60_000, 100)), "PNG"), "png")
    assert result.conversion == "60000x100 scaled to 12800x21"


@pytest.mark.parametrize("size", [(4096, 4096), (5504, 3072)])
def test_largest_pictures_of_the_models_are_sent_as_they_are(size: tuple[int, int]) -> None:
    data = saved(Image.new("RGB", size, RED), "JPEG")
    assert prepared(data, "jpeg").data is data


def test_noisy_png_of_30_mb_is_brought_below_the_limit() -> None:
    data = saved(noise((3300, 3100)), "PNG", compress_level=0)
    assert len(data) > 30_000_000
    result = prepared(data, "png")
    assert len(result.data) <= LIMIT
    assert opened(result.data).size == (result.width, result.height) == (3300, 3100)
    assert result.conversion == "image/png converted to image/jpeg"


def test_noisy_transparent_png_is_scaled_until_it_fits() -> None:
    image = noise((700, 500)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    result = prepared(saved(image, "PNG"), "png", max_bytes=200_000)
    assert len(result.data) <= 200_000
    assert (result.mime_type, opened(result.data).mode) == ("image/png", "RGBA")
    assert result.conversion == f"700x500 scaled to {result.width}x{result.height}"


def test_noisy_photo_is_compressed_again_before_it_is_scaled() -> None:
    data = saved(noise((600, 400)), "JPEG", quality=100, subsampling=0)
    result = prepared(data, "jpeg", max_bytes=len(data) - 1)
    assert (result.width, result.height) == (600, 400)
    assert (result.conversion or "").startswith("compressed again to stay below ")


def test_alpha_that_hides_nothing_does_not_keep_a_picture_large() -> None:
    data = saved(noise((700, 500)).convert("RGBA"), "PNG")
    result = prepared(data, "png", max_bytes=900_000)
    assert (result.mime_type, result.width) == ("image/jpeg", 700)


def zero_png(width: int, height: int) -> bytes:
    """A whole PNG of zeros, built without holding its pixels."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + width * 3)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_bomb_of_more_than_100_million_pixels_is_refused_before_it_is_decoded() -> None:
    bomb = zero_png(10_010, 10_000)
    started = time.perf_counter()
    with pytest.raises(MediaError) as raised:
        prepared(bomb, "png")
    assert time.perf_counter() - started < 0.2
    assert raised.value.code == "too_many_pixels"


def test_cmyk_jpeg_becomes_rgb() -> None:
    result = prepared(saved(corners().convert("CMYK"), "JPEG"), "jpeg")
    assert result.conversion == "CMYK converted to RGB"
    assert opened(result.data).mode == "RGB"
    assert_alike(opened(result.data), corners())


def test_cmyk_with_a_broken_or_foreign_profile_becomes_rgb_without_it() -> None:
    for profile in (b"rubbish" * 40, SRGB):
        result = prepared(saved(corners().convert("CMYK"), "JPEG", icc_profile=profile), "jpeg")
        assert "icc_profile" not in opened(result.data).info
        assert_alike(opened(result.data), corners())


def test_sixteen_bit_png_is_sent_as_it_is_and_scaled_in_eight() -> None:
    deep = Image.linear_gradient("L").resize((300, 300)).convert("I").point(lambda value: value * 257.0)
    data = saved(deep.convert("I;16"), "PNG")
    assert prepared(data, "png").data is data
    scaled = prepared(data, "png", max_bytes=len(data) - 1)
    image = opened(scaled.data)
    assert image.mode == "L"
    assert image.getextrema() in {(0, 255), (0, 254), (1, 254), (1, 255)}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "I;16B", "F", "I", "YCbCr"])
def test_tiff_of_any_mode_becomes_png(mode: str) -> None:
    source = corners().convert("L").convert("I") if mode.startswith("I;") else corners()
    data = saved(source.convert(mode), "TIFF")
    result = prepared(data, "tiff")
    assert (result.mime_type, opened(result.data).size) == ("image/png", (96, 64))


def test_palette_png_with_transparency_stays_as_it_is() -> None:
    data = saved(corners().quantize(4), "PNG", transparency=0)
    assert prepared(data, "png").data is data


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_animation_is_reduced_to_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), color) for color in (RED, GREEN, BLUE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    result = prepared(data, kind)
    image = opened(result.data)
    assert result.mime_type == ("image/jpeg" if kind == "webp" else "image/png")
    assert "first frame only" in (result.conversion or "")
    assert getattr(image, "n_frames", 1) == 1
    assert_alike(image, frames[0])


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_avif_is_converted(mode: str) -> None:
    image = corners().convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    result = prepared(saved(image, "AVIF", exif=orientation_tag(6, gps=True)), "avif")
    kind = "image/png" if mode == "RGBA" else "image/jpeg"
    assert result.mime_type == kind
    assert result.conversion == f"image/avif converted to {kind}, turned upright, location data removed"
    assert (result.width, result.height) == (64, 96)
    assert_alike(opened(result.data).convert("RGB"), corners().transpose(Image.Transpose.ROTATE_270))


def test_heic_is_converted() -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    out = io.BytesIO()
    heif.from_pillow(corners()).save(out, quality=90, exif=orientation_tag(6, gps=True))
    assert out.getvalue()[4:12] == b"ftypheic"
    result = prepared(out.getvalue(), "heic")
    assert result.mime_type == "image/jpeg"
    assert "image/heic converted to image/jpeg" in (result.conversion or "")
    assert "location data removed" in (result.conversion or "")
    assert (result.width, result.height) == (64, 96)
    assert b"Exif" not in result.data
    assert_alike(opened(result.data), corners().transpose(Image.Transpose.ROTATE_270))


def test_damaged_heic_is_refused() -> None:
    pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    with pytest.raises(MediaError, match="damaged or cut off"):
        prepared(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "heic")


async def test_heic_without_its_reader_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InvalidRequestError) as raised:
        await loaded(tmp_path, b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    assert 'pip install "mediagen-mcp[heic]"' in raised.value.hint
    assert raised.value.code == "unsupported_input"


async def loaded(folder: Path, data: bytes) -> InputMedia:
    async def no_artifact(artifact_id: str) -> Path:
        raise AssertionError(artifact_id)

    (folder / "photo").write_bytes(data)
    return await InputLoader([folder], no_artifact).load_image(str(folder / "photo"), "image")


async def test_file_on_disk_is_never_changed(tmp_path: Path) -> None:
    data = saved(corners(), "JPEG", exif=orientation_tag(6, gps=True))
    media = await loaded(tmp_path, data)
    assert media.conversion == "turned upright, location data removed"
    assert (tmp_path / "photo").read_bytes() == data
    assert media.data != data


def test_limits_leave_room_for_what_the_models_make() -> None:
    assert 8 * (pictures.MAX_SENT_SIDE / 8) ** 2 >= pictures.MAX_SENT_PIXELS
