"""Draws .claude-plugin/icon.png anew: a landscape in a frame, with a play button."""

from pathlib import Path

from PIL import Image, ImageDraw

SIZE = 512
# Drawn larger and scaled down, which smooths the edges.
SCALE = 4
NIGHT, SUN, FAR, NEAR, PAPER = "#12213f", "#ffc857", "#3d6ea8", "#1f3f6e", "#f7f4ec"
ICON = Path(__file__).parent.parent / ".claude-plugin" / "icon.png"


def drawn() -> Image.Image:
    """The icon."""
    image = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE))
    draw = ImageDraw.Draw(image)

    def at(*numbers: float) -> list[float]:
        return [number * SCALE for number in numbers]

    draw.rounded_rectangle(at(0, 0, 511, 511), radius=96 * SCALE, fill=NIGHT)
    draw.ellipse(at(300, 84, 412, 196), fill=SUN)
    draw.polygon(at(40, 428, 190, 200, 340, 428), fill=FAR)
    draw.polygon(at(190, 428, 330, 268, 472, 428), fill=NEAR)
    draw.rounded_rectangle(at(40, 428, 472, 440), radius=6 * SCALE, fill=PAPER)
    draw.polygon(at(200, 236, 200, 388, 328, 312), fill=PAPER)
    small = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    # A palette keeps the file small.
    return small.quantize(64)


if __name__ == "__main__":
    drawn().save(ICON, optimize=True)
