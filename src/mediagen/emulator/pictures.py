"""Pictures that look like something, drawn from the request alone: the same request gives the same bytes."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

CAPTION = "mediagen emulator"
_DRAWING_SIDE = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureOrder:
    """What to draw: pixel size, the digest that decides the composition, the pictures to compose in."""

    size: tuple[int, int]
    digest: bytes
    inputs: tuple[bytes, ...] = ()
    mime_type: str = "image/jpeg"


def open_picture(content: bytes) -> Image.Image:
    """Decode a picture, upright and in RGB.

    Raises:
        ValueError: The bytes are not a picture.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("not a picture") from error


def draw_picture(order: PictureOrder) -> bytes:
    """Draw one picture and encode it."""
    width, height = order.size
    shrink = min(1.0, _DRAWING_SIDE / max(width, height))
    small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    inputs = [open_picture(content) for content in order.inputs]
    canvas = _backdrop(small, order.digest)
    if inputs:
        canvas = Image.blend(canvas, ImageOps.fit(inputs[0], small), 0.6)
    canvas = _shapes(canvas, order.digest)
    _thumbnails(canvas, inputs)
    _caption(canvas)
    if canvas.size != order.size:
        canvas = canvas.resize(order.size, Image.Resampling.BICUBIC)
    return encode(canvas, order.mime_type)


def encode(picture: Image.Image, mime_type: str) -> bytes:
    """Encode a picture as PNG or JPEG."""
    buffer = io.BytesIO()
    if mime_type == "image/png":
        picture.save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def collage(pictures: Sequence[bytes], size: tuple[int, int], digest: bytes) -> Image.Image:
    """Arrange reference pictures in a row on a coloured ground."""
    canvas = _backdrop(size, digest)
    count = max(1, len(pictures))
    gap = max(2, min(size) // 40)
    cell = ((size[0] - gap * (count + 1)) // count, size[1] - 2 * gap)
    for index, content in enumerate(pictures):
        tile = ImageOps.contain(open_picture(content), cell)
        left = gap + index * (cell[0] + gap) + (cell[0] - tile.width) // 2
        canvas.paste(tile, (left, (size[1] - tile.height) // 2))
    return canvas


def cover(content: bytes, size: tuple[int, int], *, pads: bool = False) -> Image.Image:
    """Scale a picture so that it fills a frame: cropped, or with borders."""
    picture = open_picture(content)
    return ImageOps.pad(picture, size) if pads else ImageOps.fit(picture, size)


def placeholder(text: str) -> bytes:
    """Draw the stand-in for a picture that lies elsewhere and is not fetched."""
    digest = hashlib.sha256(text.encode()).digest()
    return draw_picture(PictureOrder(size=(512, 512), digest=digest, mime_type="image/png"))


def _backdrop(size: tuple[int, int], digest: bytes) -> Image.Image:
    seedlings = Image.new("RGB", (3, 3))
    for index in range(9):
        red, green, blue = digest[index], digest[index + 9], digest[(index + 18) % 32]
        seedlings.putpixel((index % 3, index // 3), (red, green, blue))
    return seedlings.resize(size, Image.Resampling.BICUBIC)


def _shapes(canvas: Image.Image, digest: bytes) -> Image.Image:
    layer = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    unit = min(canvas.size)
    for index in range(5):
        x = digest[index * 5] * canvas.width // 255
        y = digest[index * 5 + 1] * canvas.height // 255
        radius = unit // 12 + digest[index * 5 + 2] * unit // 1200
        colour = (digest[index + 3], digest[index + 11], digest[index + 20], 110)
        box = (x - radius, y - radius, x + radius, y + radius)
        if digest[index] % 2:
            draw.ellipse(box, fill=colour)
        else:
            draw.rounded_rectangle(box, radius=radius // 4, fill=colour)
    return Image.alpha_composite(canvas.convert("RGBA"), layer).convert("RGB")


def _thumbnails(canvas: Image.Image, inputs: Sequence[Image.Image]) -> None:
    if not inputs:
        return
    gap = max(1, min(canvas.size) // 50)
    side = max(1, min(min(canvas.size) // 4, (canvas.width - gap) // len(inputs) - gap))
    for index, picture in enumerate(inputs):
        thumbnail = ImageOps.expand(ImageOps.fit(picture, (side, side)), border=1, fill="white")
        canvas.paste(thumbnail, (gap + index * (side + gap), gap))


def _caption(canvas: Image.Image) -> None:
    draw = ImageDraw.Draw(canvas)
    size = max(8, min(canvas.size) // 32)
    font = ImageFont.load_default(size)
    position = (size, canvas.height - size * 2)
    draw.text((position[0] + 1, position[1] + 1), CAPTION, fill=(0, 0, 0), font=font)
    draw.text(position, CAPTION, fill=(255, 255, 255), font=font)
