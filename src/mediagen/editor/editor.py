"""The editing tools: find the sources, make the file, write it down. Nothing is sent and nothing costs."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

from mediagen.editor.probing import probe_source
from mediagen.editor.sources import SourceFinder
from mediagen.editor.workshop import Edit, Workshop
from mediagen.errors import InvalidRequestError
from mediagen.media.editing.clip import Clip, open_clip
from mediagen.media.editing.concat import ConcatRequest, concat_videos
from mediagen.media.editing.convert import ConvertRequest, convert_video
from mediagen.media.editing.engine import executable
from mediagen.media.editing.frames import FrameRequest, extract_frame, frame_moment
from mediagen.media.editing.sound import AddAudioRequest as SoundRequest
from mediagen.media.editing.sound import add_audio
from mediagen.media.editing.stills import ResizeRequest, resize_image
from mediagen.media.editing.times import parse_time
from mediagen.media.editing.trim import TrimRequest, trim_video
from mediagen.media.probe import probe_file
from mediagen.report.job import JobReport
from mediagen.report.media import MediaReport
from mediagen.requests import (
    AddAudioRequest,
    ConcatVideosRequest,
    ConvertVideoRequest,
    ExtractFrameRequest,
    ProbeMediaRequest,
    ResizeImageRequest,
    TrimVideoRequest,
)
from mediagen.runner.runner import OnProgress


@dataclass(frozen=True, kw_only=True, slots=True)
class Editor:
    """Edits files of this machine; every public method is one call of a caller.

    Each raises InvalidRequestError or JobNotFoundError for what cannot be edited, ConfigurationError for a folder that
    cannot be used, and MediaError when ffmpeg is missing (code ``ffmpeg_missing``) or fails; nothing is left then.

    Attributes:
        ffmpeg: Executable, or None to look for one.
    """

    sources: SourceFinder
    workshop: Workshop
    ffmpeg: str | None

    async def probe_media(self, request: ProbeMediaRequest) -> MediaReport:
        """What a file is; nothing is written."""
        source = await self.sources.find(request.source, "source")
        async with self.workshop.turn():
            return await probe_source(source, self.ffmpeg)

    async def extract_frame(self, request: ExtractFrameRequest, on_progress: OnProgress | None = None) -> JobReport:
        """One frame of a video as a picture."""
        at = _frame_time(request.at)
        program = await executable(self.ffmpeg)
        source = await self.sources.find(request.source, "source")
        async with self.workshop.turn():
            clip = await open_clip(source.path, program, needs="video")
            moment = round(float(frame_moment(at, clip)), 6)
            edit = Edit(
                tool="extract_frame",
                maker="ffmpeg",
                doing="taking the frame",
                request=request,
                sources=(source,),
                ending=f"_frame_{moment:.3f}".rstrip("0").rstrip(".") + "s",
                effective={"at": request.at, "format": request.format, "source_frame": moment, **_facts(clip)},
            )
            wish = FrameRequest(at=at, format=request.format)
            return await self.workshop.make(
                edit,
                lambda target, _: extract_frame(source.path, target, request=wish, ffmpeg=program),
                on_progress,
            )

    async def trim_video(self, request: TrimVideoRequest, on_progress: OnProgress | None = None) -> JobReport:
        """A part of a video."""
        wish = TrimRequest(
            start_seconds=parse_time(request.start, "start"),
            end_seconds=None if request.end is None else parse_time(request.end, "end"),
        )
        if wish.end_seconds is not None and wish.end_seconds <= wish.start_seconds:
            raise InvalidRequestError(
                f"end={request.end} must be after start={request.start}.", field="end", hint="Give a later end."
            )
        program = await executable(self.ffmpeg)
        source = await self.sources.find(request.source, "source")
        async with self.workshop.turn():
            clip = await open_clip(source.path, program, needs="video")
            until = wish.end_seconds if wish.end_seconds is not None else _rounded(clip.seconds)
            edit = Edit(
                tool="trim_video",
                maker="ffmpeg",
                doing="trimming",
                request=request,
                sources=(source,),
                ending="_trimmed",
                effective={"start": wish.start_seconds, "end": until, **_facts(clip)},
            )
            return await self.workshop.make(
                edit,
                lambda target, tell: trim_video(source.path, target, request=wish, ffmpeg=program, on_progress=tell),
                on_progress,
            )

    async def concat_videos(self, request: ConcatVideosRequest, on_progress: OnProgress | None = None) -> JobReport:
        """Several videos one after the other."""
        wish = _joining(request)
        program = await executable(self.ffmpeg)
        sources = await self.sources.find_all(request.sources, "sources")
        async with self.workshop.turn():
            edit = Edit(
                tool="concat_videos",
                maker="ffmpeg",
                doing="joining",
                request=request,
                sources=tuple(sources),
                ending="_joined",
                effective={**_joining_values(wish), "videos": len(sources)},
            )
            paths = [source.path for source in sources]
            return await self.workshop.make(
                edit,
                lambda target, tell: concat_videos(paths, target, request=wish, ffmpeg=program, on_progress=tell),
                on_progress,
            )

    async def add_audio(self, request: AddAudioRequest, on_progress: OnProgress | None = None) -> JobReport:
        """A video with more or other sound."""
        wish = SoundRequest(
            mode=request.mode,
            volume=request.volume,
            fade_in_seconds=request.fade_in,
            fade_out_seconds=request.fade_out,
            normalize_loudness=request.normalize_loudness,
        )
        program = await executable(self.ffmpeg)
        source = await self.sources.find(request.source, "source")
        audio = await self.sources.find(request.audio, "audio")
        values = {name: getattr(request, name) for name in ("volume", "fade_in", "fade_out", "normalize_loudness")}
        async with self.workshop.turn():
            clip = await open_clip(source.path, program, needs="video")
            edit = Edit(
                tool="add_audio",
                maker="ffmpeg",
                doing="adding sound",
                request=request,
                sources=(source, audio),
                ending="_sound",
                effective={"audio_mode": request.mode, **values, **_facts(clip)},
            )
            return await self.workshop.make(
                edit,
                lambda target, tell: add_audio(
                    source.path, audio.path, target, request=wish, ffmpeg=program, on_progress=tell
                ),
                on_progress,
            )

    async def convert_video(self, request: ConvertVideoRequest, on_progress: OnProgress | None = None) -> JobReport:
        """A video in another format, size or frame rate."""
        wish = ConvertRequest(format=request.format, fps=request.fps, width=request.width, height=request.height)
        program = await executable(self.ffmpeg)
        source = await self.sources.find(request.source, "source")
        async with self.workshop.turn():
            clip = await open_clip(source.path, program, needs="video")
            edit = Edit(
                tool="convert_video",
                maker="ffmpeg",
                doing="converting",
                request=request,
                sources=(source,),
                ending="_converted",
                effective={**asdict(wish), **_facts(clip)},
            )
            return await self.workshop.make(
                edit,
                lambda target, tell: convert_video(source.path, target, request=wish, ffmpeg=program, on_progress=tell),
                on_progress,
            )

    async def resize_image(self, request: ResizeImageRequest, on_progress: OnProgress | None = None) -> JobReport:
        """A picture in another size or format."""
        if request.width is None and request.height is None and request.format is None:
            raise InvalidRequestError(
                "Nothing to change: none of width, height and format is given.",
                field="width",
                hint="Give at least one of them.",
            )
        wish = ResizeRequest(
            width=request.width, height=request.height, fit=request.fit, format=request.format, quality=request.quality
        )
        source = await self.sources.find(request.source, "source")
        async with self.workshop.turn():
            facts = await probe_file(source.path)
            edit = Edit(
                tool="resize_image",
                maker="pillow",
                doing="resizing",
                request=request,
                sources=(source,),
                ending="_resized",
                effective={**asdict(wish), "source_size": f"{facts.width}x{facts.height}"},
            )
            return await self.workshop.make(
                edit, lambda target, _: resize_image(source.path, target, request=wish), on_progress
            )


def _frame_time(at: str) -> float | Literal["first", "last"]:
    word = at.lower()
    if word == "first":
        return "first"
    return "last" if word == "last" else parse_time(at, "at")


def _joining(request: ConcatVideosRequest) -> ConcatRequest:
    if request.transition == "cut" and request.crossfade_seconds is not None:
        raise InvalidRequestError(
            f"crossfade_seconds={request.crossfade_seconds:g} has no effect with transition=cut.",
            field="crossfade_seconds",
            hint="Give transition=crossfade, or leave it out.",
        )
    usual = ConcatRequest()
    return ConcatRequest(
        transition=request.transition,
        crossfade_seconds=request.crossfade_seconds or usual.crossfade_seconds,
        fps=request.fps,
        size=request.size,
        width=request.width,
        height=request.height,
    )


def _joining_values(wish: ConcatRequest) -> dict[str, Any]:
    left_out = {"crossfade_seconds"} if wish.transition == "cut" else set()
    return {name: value for name, value in asdict(wish).items() if name not in left_out}


def _facts(clip: Clip) -> dict[str, Any]:
    """What the source was, for those who read the result later."""
    return {"source_seconds": _rounded(clip.seconds), "source_size": f"{clip.width}x{clip.height}"}


def _rounded(seconds: Fraction) -> float:
    return round(float(seconds), 3)
