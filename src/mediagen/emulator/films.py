"""Makes playable films with ffmpeg: H.264 and AAC in MP4, of exactly the size, length and rate that was asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
from PIL import Image

from mediagen.emulator.catalogue import VIDEO_FPS
from mediagen.emulator.ffmpeg import Probe, run_ffmpeg
from mediagen.emulator.pictures import collage, cover

FilmTask = Literal["text_to_video", "image_to_video", "first_last", "reference_to_video", "edit", "extend", "upscale"]

_DRAWING_SIDE = 640


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmPlan:
    """One film to make.

    Attributes:
        task: How it is made.
        size: Width and height in pixels.
        seconds: Length of what is new (or of the whole, when nothing is extended).
        digest: Decides colours and tone.
        pictures: First frame, first and last frame, or references, by task.
        source: The film to extend, edit or scale.
        source_probe: What is known of it.
        new_part_only: Whether an extension leaves the original out.
        has_audio: Whether it has a sound track.
        pads: Whether pictures of another shape get borders instead of being cropped.
    """

    task: FilmTask
    size: tuple[int, int]
    seconds: float
    digest: bytes
    pictures: tuple[bytes, ...] = ()
    source: Path | None = None
    source_probe: Probe | None = None
    new_part_only: bool = False
    has_audio: bool = True
    pads: bool = False

    @property
    def total_seconds(self) -> float:
        """Length of the finished film."""
        if self.task == "extend" and self.source_probe is not None and not self.new_part_only:
            return self.source_probe.duration_seconds + self.seconds
        return self.seconds


async def render(plan: FilmPlan, executable: str, target: Path) -> None:
    """Make a film.

    Raises:
        MediaError: ffmpeg could not do it.
    """
    folder = target.with_name(f"{target.name}.parts")
    await anyio.Path(folder).mkdir()
    try:
        inputs, graph = await _recipe(plan, executable, folder)
        if not plan.has_audio:
            graph = f"{graph};[a]anullsink"
        unfinished = folder / "film.mp4"
        await run_ffmpeg(executable, [*inputs, "-filter_complex", graph, *_output(plan), str(unfinished)])
        await anyio.Path(unfinished).replace(target)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove_folder, folder)


def _remove_folder(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _output(plan: FilmPlan) -> list[str]:
    audio = ["-map", "[a]"] if plan.has_audio else []
    return [
        *("-map", "[v]", *audio, "-t", f"{plan.total_seconds:.3f}", "-r", str(VIDEO_FPS)),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "26", "-pix_fmt", "yuv420p", "-threads", "2"),
        *("-c:a", "aac", "-b:a", "96k", "-ar", "48000", "-ac", "2"),
        *("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
        *("-movflags", "+faststart", "-f", "mp4"),
    ]


async def _recipe(plan: FilmPlan, executable: str, folder: Path) -> tuple[list[str], str]:
    match plan.task:
        case "text_to_video":
            return _pattern(plan)
        case "image_to_video":
            return await _still(plan, folder, lambda: cover(plan.pictures[0], plan.size, pads=plan.pads))
        case "reference_to_video":
            return await _still(plan, folder, lambda: collage(plan.pictures, plan.size, plan.digest))
        case "first_last":
            return await _crossfade(plan, folder)
        case "extend":
            return await _extension(plan, executable, folder)
        case "edit" | "upscale":
            return _recoloured(plan)


def _colour(digest: bytes, start: int) -> str:
    return f"0x{digest[start : start + 3].hex()}"


def _tone(plan: FilmPlan) -> list[str]:
    frequency = 180 + plan.digest[30]
    source = f"sine=frequency={frequency}:sample_rate=48000:duration={plan.seconds:.3f}"
    return ["-f", "lavfi", "-i", source]


def _soft(label: str, output: str) -> str:
    return f"[{label}]volume=0.15,aformat=sample_rates=48000:channel_layouts=stereo[{output}]"


def _pattern(plan: FilmPlan) -> tuple[list[str], str]:
    width, height = plan.size
    shrink = min(1.0, _DRAWING_SIDE / max(width, height))
    small = f"{round(width * shrink / 2) * 2}x{round(height * shrink / 2) * 2}"
    colours = ":".join(f"c{index}={_colour(plan.digest, index * 3)}" for index in range(3))
    source = (
        f"gradients=size={small}:rate={VIDEO_FPS}:duration={plan.seconds:.3f}:nb_colors=3:{colours}"
        f":seed={plan.digest[29]}:speed=0.02"
    )
    graph = f"[0:v]scale={width}:{height},setsar=1,format=yuv420p[v];{_soft('1:a', 'a')}"
    return ["-f", "lavfi", "-i", source, *_tone(plan)], graph


def _zoom(plan: FilmPlan, label: str, output: str) -> str:
    width, height = plan.size
    frames = round(plan.seconds * VIDEO_FPS)
    return (
        f"[{label}]zoompan=z='1+0.0006*on':x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2'"
        f":d={frames}:s={width}x{height}:fps={VIDEO_FPS},setsar=1,format=yuv420p[{output}]"
    )


async def _still(plan: FilmPlan, folder: Path, make: Callable[[], Image.Image]) -> tuple[list[str], str]:
    path = folder / "still.png"
    await anyio.to_thread.run_sync(_save, make, path)
    return ["-i", str(path), *_tone(plan)], f"{_zoom(plan, '0:v', 'v')};{_soft('1:a', 'a')}"


async def _crossfade(plan: FilmPlan, folder: Path) -> tuple[list[str], str]:
    inputs: list[str] = []
    for index in (0, 1):
        path = folder / f"frame{index}.png"
        content = plan.pictures[index]
        await anyio.to_thread.run_sync(_save, lambda content=content: cover(content, plan.size, pads=plan.pads), path)
        inputs += ["-framerate", str(VIDEO_FPS), "-i", str(path)]
    pause = min(0.25, plan.seconds / 8)
    # Each picture is decoded once; the option -loop of ffmpeg would decode it for every frame.
    held = f"setsar=1,format=yuv420p,loop=loop=-1:size=1,trim=duration={plan.seconds:.3f}"
    graph = (
        f"[0:v]{held}[first];[1:v]{held}[last];"
        f"[first][last]xfade=transition=fade:duration={plan.seconds - 2 * pause:.3f}:offset={pause:.3f}[v];"
        f"{_soft('2:a', 'a')}"
    )
    return [*inputs, *_tone(plan)], graph


async def _extension(plan: FilmPlan, executable: str, folder: Path) -> tuple[list[str], str]:
    assert plan.source is not None
    assert plan.source_probe is not None
    width, height = plan.size
    last = folder / "last.png"
    scale = f"scale={width}:{height},setsar=1"
    arguments = ["-sseof", "-0.5", "-i", str(plan.source), "-vf", scale, "-update", "1", str(last)]
    await run_ffmpeg(executable, arguments)
    tinted = f"{_zoom(plan, '0:v', 'plain')};[plain]hue=h='t*{12 + plan.digest[28] // 8}'[new]"
    inputs = ["-i", str(last), *_tone(plan)]
    if plan.new_part_only:
        return inputs, f"{tinted.removesuffix('[new]')}[v];{_soft('1:a', 'a')}"
    old_audio = (
        "[2:a]aformat=sample_rates=48000:channel_layouts=stereo"
        if plan.source_probe.has_audio
        else "anullsrc=r=48000:cl=stereo"
    )
    seconds = f"{plan.source_probe.duration_seconds:.3f}"
    graph = (
        f"{tinted};{_soft('1:a', 'new_a')};"
        f"[2:v]{scale},fps={VIDEO_FPS},format=yuv420p,trim=duration={seconds}[old];"
        f"{old_audio},apad,atrim=duration={seconds}[old_a];"
        "[old][old_a][new][new_a]concat=n=2:v=1:a=1[v][a]"
    )
    return [*inputs, "-i", str(plan.source)], graph


def _recoloured(plan: FilmPlan) -> tuple[list[str], str]:
    assert plan.source is not None
    assert plan.source_probe is not None
    width, height = plan.size
    tint = f",hue=h={20 + plan.digest[28]}" if plan.task == "edit" else ""
    video = f"[0:v]scale={width}:{height},setsar=1,fps={VIDEO_FPS}{tint},format=yuv420p[v]"
    audio = "[0:a]" if plan.source_probe.has_audio else "[1:a]volume=0.15,"
    return ["-i", str(plan.source), *_tone(plan)], (
        f"{video};{audio}aformat=sample_rates=48000:channel_layouts=stereo[a]"
    )


def _save(make: Callable[[], Image.Image], path: Path) -> None:
    make().save(path, "PNG", compress_level=1)
