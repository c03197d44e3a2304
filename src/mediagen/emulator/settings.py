"""How one emulator behaves, as a value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mediagen.emulator.catalogue import INLINE_VIDEO_LIMIT_BYTES


@dataclass(frozen=True, kw_only=True, slots=True)
class EmulatorSettings:
    """Settings of one emulator.

    Attributes:
        host: Address to listen on; loopback unless the caller knows better.
        port: TCP port; 0 picks a free one.
        video_seconds: How long a clip "renders" before it is completed; 0 = as soon as it is encoded.
        image_seconds: How long a picture takes.
        batch_seconds: How long a batch waits, and then again how long it is worked at.
        open_batches: How many batches may be open at once.
        calls_per_window: How many paid calls of a model are taken within the window; None = any number.
        window_seconds: Length of that window.
        ffmpeg: Path of the ffmpeg executable; None looks on PATH, then in the imageio_ffmpeg package.
        extend_returns: Whether an extension answers with the whole film or with the new part alone.
        idle_exit_seconds: End the process this long after the last request; None = never.
        processing_seconds: How long an uploaded file stays in state PROCESSING.
        region_refuses_uploaded_video: Whether uploaded films are neither edited nor extended, as in the EEA,
            Switzerland and the United Kingdom.
        signed: Whether pictures and films carry a (dummy) C2PA manifest, as Google's do.
        interaction_days: How long an interaction is kept: 55 when paid for, 1 without.
        token_seconds: How long an access token of the OAuth endpoint is good for.
        inline_limit_bytes: Films above this size cannot be returned inline.
        state_dir: Where files are kept; None = a temporary folder that is removed at the end.
    """

    host: str = "127.0.0.1"
    port: int = 0
    video_seconds: float = 2.0
    image_seconds: float = 0.0
    batch_seconds: float = 0.2
    open_batches: int = 100
    calls_per_window: int | None = None
    window_seconds: float = 60.0
    ffmpeg: str | None = None
    extend_returns: Literal["whole", "new_part"] = "whole"
    region_refuses_uploaded_video: bool = False
    signed: bool = False
    interaction_days: float = 55.0
    idle_exit_seconds: float | None = None
    processing_seconds: float = 0.1
    token_seconds: float = 3600.0
    inline_limit_bytes: int = INLINE_VIDEO_LIMIT_BYTES
    state_dir: Path | None = None
