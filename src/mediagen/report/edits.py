"""What an edit did, in words. Pure."""

from typing import Any

from mediagen.report.job import JobReport


def edit_in_words(report: JobReport) -> str:
    """Say what an edit of this machine did: "trimmed 5.3 s → 2 s, free"."""
    made = report.artifacts[0] if report.artifacts else None
    size = f"{made.width}x{made.height}" if made and made.width else "?"
    length = _seconds(made.duration_seconds if made else None)
    values: dict[str, Any] = report.effective
    before = _seconds(values.get("source_seconds"))
    match report.mode:
        case "trim_video":
            done = f"trimmed {before} → {length}"
        case "extract_frame":
            done = f"frame at {_seconds(values.get('source_frame'))} of {before}, {size}"
        case "concat_videos":
            done = f"joined {values.get('videos')} videos to {length}, {size}"
        case "add_audio":
            verb = "replaced the sound of" if values.get("audio_mode") == "replace" else "mixed sound into"
            done = f"{verb} {length} of video"
        case "convert_video":
            done = f"converted {values.get('source_size')}, {before} → {values.get('format')} {size}"
            # The length of an animated WebP is not read.
            done += f", {length}" if made and made.duration_seconds else ""
        case "resize_image":
            done = f"resized {values.get('source_size')} → {size}"
        case _:
            done = report.mode
    return f"{done}, free"


def _seconds(value: Any) -> str:
    return f"{round(value, 2):g} s" if isinstance(value, int | float) else "?"
