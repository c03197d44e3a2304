"""What the editing tools may be asked for; they cost nothing."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from mediagen.requests.fields import Path, Request, Source, Sources

VIDEO = "Local path, mediagen://artifacts/<id>, or the job id of one file."
Fps = Annotated[float, Field(ge=1, le=120)]
VideoSide = Annotated[int, Field(ge=2, le=4096)]
PictureSide = Annotated[int, Field(ge=1, le=16384)]
FadeSeconds = Annotated[float, Field(ge=0, le=600)]


def _as_text(value: object) -> object:
    """Some clients send seconds as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Moment = Annotated[
    str, BeforeValidator(_as_text), StringConstraints(strip_whitespace=True, min_length=1, max_length=40)
]


class ProbeMediaRequest(Request):
    """What a picture, video or sound file is. Costs nothing and changes nothing."""

    source: Source = Field(description=f"Picture, video or sound file. {VIDEO}")


class EditRequest(Request):
    """Arguments that every tool shares which makes a file on this machine."""

    output_dir: Path | None = Field(None, description="Folder for the file; default: the working directory.")
    output_name: Annotated[str, StringConstraints(min_length=1, max_length=120)] | None = Field(
        None,
        description="File name without extension; default: made from the name of the source. "
        "Existing files are never overwritten.",
    )
    preview: bool = Field(True, description="Include a small JPEG preview in the answer.")


class ExtractFrameRequest(EditRequest):
    """One frame of a video as a picture. Costs nothing."""

    source: Source = Field(description=f"Video. {VIDEO}")
    at: Moment = Field("first", description="Which frame: seconds (12.5), M:SS, first (default) or last.")
    format: Literal["png", "jpeg"] = Field("png", description="Of the picture.")


class TrimVideoRequest(EditRequest):
    """A part of a video, cut at exact frames, as MP4. Costs nothing."""

    source: Source = Field(description=f"Video. {VIDEO}")
    start: Moment = Field("0", description="First frame to keep: seconds (1.5) or M:SS. Default 0.")
    end: Moment | None = Field(None, description="First frame to leave out: seconds or M:SS. Default: the end.")


class ConcatVideosRequest(EditRequest):
    """Several videos one after the other, as MP4. Costs nothing."""

    sources: Annotated[list[Source], Field(min_length=2, max_length=32), Sources] = Field(
        description=f"2 to 32 videos, in order. Each: {VIDEO}"
    )
    transition: Literal["cut", "crossfade"] = Field("cut", description="How one video becomes the next.")
    crossfade_seconds: Annotated[float, Field(ge=0.05, le=10)] | None = Field(
        None, description="Length of each cross-fade, by which the result is shorter. Default 0.5."
    )
    fps: Fps | None = Field(None, description="Frame rate of the result. Default 24.")
    size: Literal["first", "largest"] = Field(
        "first", description="Whose size the result has; the others are scaled and padded."
    )
    width: VideoSide | None = Field(None, description="Width of the result in pixels, with height; wins over size.")
    height: VideoSide | None = Field(None, description="Height of the result in pixels, with width.")


class AddAudioRequest(EditRequest):
    """A video with more or other sound, as MP4. Costs nothing."""

    source: Source = Field(description=f"Video. {VIDEO}")
    audio: Source = Field(description=f"Sound file (WAV, MP3, M4A, FLAC, OGG, AAC), or a video with sound. {VIDEO}")
    mode: Literal["mix", "replace"] = Field("mix", description="Keep the video's own sound beneath, or drop it.")
    volume: Annotated[float, Field(ge=0, le=10)] = Field(1.0, description="Factor for the added sound.")
    fade_in: FadeSeconds = Field(0.0, description="Seconds in which the added sound rises from silence.")
    fade_out: FadeSeconds = Field(0.0, description="Seconds in which the added sound falls into silence at its end.")
    normalize_loudness: bool = Field(False, description="Bring the whole to -16 LUFS, peaks below -1.5 dBTP.")


class ConvertVideoRequest(EditRequest):
    """A video in another format, size or frame rate. Costs nothing."""

    source: Source = Field(description=f"Video or GIF. {VIDEO}")
    format: Literal["mp4", "webm", "gif", "webp"] = Field(
        "mp4", description="gif and webp are silent animations of at most 60 s."
    )
    fps: Fps | None = Field(
        None, description="Exact, constant frame rate. Default: that of the source, at most 15 for gif and webp."
    )
    width: VideoSide | None = Field(None, description="In pixels; alone it keeps the shape, with height it pads.")
    height: VideoSide | None = Field(None, description="In pixels; alone it keeps the shape, with width it pads.")


class ResizeImageRequest(EditRequest):
    """A picture in another size or format. Costs nothing."""

    source: Source = Field(description=f"Picture. {VIDEO}")
    width: PictureSide | None = Field(None, description="In pixels; alone it keeps the shape.")
    height: PictureSide | None = Field(None, description="In pixels; alone it keeps the shape.")
    fit: Literal["contain", "cover", "exact"] = Field(
        "contain", description="With width and height: fit in whole, fill and cut what stands out, or stretch."
    )
    format: Literal["png", "jpeg", "webp"] | None = Field(
        None, description="Default: JPEG and WebP stay, everything else becomes PNG."
    )
    quality: Annotated[int, Field(ge=1, le=100)] = Field(92, description="Of JPEG and WebP.")
