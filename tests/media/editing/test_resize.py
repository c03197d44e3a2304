from pathlib import Path

import pytest
from PIL import Image
from tests.media.editing.clips import BUNNY

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.editing.stills import ResizeRequest, resize_image

ROCKET = BUNNY.with_name("rocket.jpg")


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"width": 320}, (320, 214)),
        ({"height": 100}, (150, 100)),
        ({"width": 300, "height": 300}, (300, 200)),
        ({"width": 300, "height": 300, "fit": "cover"}, (300, 300)),
        ({"width": 10, "height": 90, "fit": "exact"}, (10, 90)),
        ({}, (640, 427)),
        ({"width": 1280}, (1280, 854)),
    ],
)
async def test_resize_gives_the_size_asked_for(tmp_path: Path, asked, size) -> None:
    facts = await resize_image(ROCKET, tmp_path / "out", request=ResizeRequest(**asked))
    assert (facts.width, facts.height, facts.mime_type) == (*size, "image/jpeg")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_resize_turns_as_exif_says_and_drops_the_place(tmp_path: Path) -> None:
    turned, target = tmp_path / "turned.jpg", tmp_path / "out.jpg"
    picture = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8825] = {1: "N"}
    picture.save(turned, exif=exif)
    facts = await resize_image(turned, target, request=ResizeRequest(width=10))
    assert (facts.width, facts.height) == (10, 20)
    with Image.open(target) as made:
        assert dict(made.getexif()) == {}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
async def test_resize_takes_every_mode_to_every_format(tmp_path: Path, mode, form) -> None:
    source = tmp_path / "in"
    Image.new(mode, (8, 4)).save(source, format="TIFF" if mode == "CMYK" else "PNG")
    facts = await resize_image(source, tmp_path / "out", request=ResizeRequest(width=4, format=form))
    assert (facts.mime_type, facts.width, facts.height) == (f"image/{form}", 4, 2)


@pytest.mark.parametrize(
    "asked", [{"width": 0}, {"height": 20000}, {"width": 16000, "height": 16000, "fit": "exact"}, {"fit": "crop"}]
)
async def test_resize_refuses_what_cannot_be_made(tmp_path: Path, asked) -> None:
    with pytest.raises(InvalidRequestError):
        await resize_image(ROCKET, tmp_path / "out", request=ResizeRequest(**asked))


async def test_resize_refuses_a_cut_off_picture(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(ROCKET.read_bytes()[:30_000])
    with pytest.raises(MediaError, match=r"cut\.jpg"):
        await resize_image(cut, tmp_path / "out", request=ResizeRequest(width=10))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["cut.jpg"]
