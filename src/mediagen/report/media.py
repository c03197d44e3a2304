"""What callers are told about a file that was looked at."""

from pydantic import Field

from mediagen.report.job import Report


class MediaReport(Report):
    """Result of probe_media; null is what a file of this kind does not have, or what cannot be known."""

    path: str = Field(description="Absolute path of the file.")
    mime_type: str = Field(description="From the bytes, not from the name.")
    size_bytes: int
    sha256: str
    width: int | None = Field(description="As shown, in pixels: rotation applied.")
    height: int | None
    duration_seconds: float | None
    fps: float | None = Field(description="Frames per second; the mean when has_steady_rate is false.")
    has_steady_rate: bool | None
    is_stored_as_shown: bool | None = Field(description="False when players turn, mirror or stretch it.")
    video_codec: str | None
    audio_codec: str | None
    audio_channels: str | None = Field(description="mono, stereo, 5.1 and so on.")
    audio_sample_rate: int | None
    has_audio: bool | None
    has_c2pa: bool = Field(description="Whether it carries a C2PA manifest, which an edit drops.")
    job_id: str | None = Field(description="Job of the ledger that made it, if any.")
    warnings: list[str]


def media_summary(report: MediaReport) -> str:
    """The same in a sentence, and the path."""
    facts = [report.mime_type]
    facts += [f"{report.width}x{report.height}"] if report.width else []
    facts += [f"{report.duration_seconds:g} s"] if report.duration_seconds else []
    facts += [f"{report.fps:g} fps"] if report.fps else []
    facts += [report.video_codec] if report.video_codec else []
    if report.has_audio is not None:
        facts.append(_sound(report))
    facts.append(f"{report.size_bytes} bytes")
    facts += ["with a C2PA manifest"] if report.has_c2pa else []
    lines = [f"{report.path}: {', '.join(facts)}.", f"SHA-256 {report.sha256}"]
    lines += [f"Made by job {report.job_id}"] if report.job_id else []
    return "\n".join([*lines, *(f"Warning: {warning}" for warning in report.warnings)])


def _sound(report: MediaReport) -> str:
    if not report.has_audio:
        return "silent"
    words = [report.audio_codec or "", report.audio_channels or ""]
    return " ".join(["sound", *(word for word in words if word)])
