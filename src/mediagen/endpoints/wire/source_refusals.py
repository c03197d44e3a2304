"""How Google refuses a film that is given as a source, and what to do about it, as data. Pure.

Reports of users give Google's words for the frame rate, the empty video, the missing type, the use case and the file
that is gone. For the others no words of Google's are known: the patterns fit those of the built-in emulator and some
wider ones.
"""

import re
from dataclasses import dataclass
from typing import Final

REGION_REFUSED: Final = "region_refused"
SOURCE_REFUSED: Final = "source_refused"
SOURCE_EXPIRED: Final = "source_expired"
USE_CASE_REFUSED: Final = "use_case_refused"

_READ_CHARACTERS: Final = 4000
_UNBILLED: Final = "Nothing was made or billed."


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRefusal:
    """One way in which a source is refused; nothing is billed for it.

    Attributes:
        pattern: What Google's message is known by.
        code: Code of our error.
        words: What happened.
        hint: What to do about it.
    """

    pattern: re.Pattern[str]
    code: str
    words: str
    hint: str


def _row(pattern: str, code: str, words: str, hint: str) -> SourceRefusal:
    found = re.compile(pattern, re.IGNORECASE | re.DOTALL)
    return SourceRefusal(pattern=found, code=code, words=words, hint=f"{hint} {_UNBILLED}")


REFUSALS: Final = (
    _row(
        r"\A(?=.*\bupload)(?=.*\b(?:edit|extend|modif))(?=.*\b(?:location|region|country|countries)\b)",
        REGION_REFUSED,
        "Google does not edit or extend uploaded videos where this server is",
        "That holds for the EEA, Switzerland, the United Kingdom and some US states. Go on from the job that made the "
        "clip (Google still has it), extend with Veo on Vertex AI, or make a new clip from the last frame "
        "(generate_video with a first frame).",
    ),
    _row(
        r"use case is currently not supported",
        USE_CASE_REFUSED,
        "Google does not offer this use of the model to this key or project",
        "Use the other surface (backend) or another model; check_api lists them.",
    ),
    _row(
        r"permission to access the File \S+ or it may not exist",
        SOURCE_EXPIRED,
        "A file at Google that the request names is gone, or belongs to another key",
        "Google keeps files for 48 hours. Give the local file or the job, so that it is uploaded again.",
    ),
    _row(
        r"previous interaction\b.*\b(?:deleted|expired)",
        SOURCE_EXPIRED,
        "Google no longer has the video of the earlier interaction",
        "Give the local file of that job as the source, so that it is uploaded again.",
    ),
    _row(
        r"fps mismatch",
        SOURCE_REFUSED,
        "Google refused the frame rate of the source",
        "It must be exactly 24 frames a second (23.976 is not). Give the file itself, which is converted before it is "
        "sent, or convert it (convert_video with fps 24).",
    ),
    _row(
        r"\bvideo is empty\b|invalid or unsupported file uri|bytesBase64Encoded\W+isn't supported",
        SOURCE_REFUSED,
        "Google cannot read an input from where it is",
        "Google fetches no video from the web: the Gemini API reads its own files, Vertex AI reads gs:// addresses. "
        "Give a local file, a job or an https address to mediagen, which uploads it.",
    ),
    _row(
        r"video mime type",
        SOURCE_REFUSED,
        "Google refused the type of the source, or was told none",
        "Give an MP4 file, whose name ends in .mp4.",
    ),
    _row(
        r"video is too (?:long|short) to (?:extend|edit)",
        SOURCE_REFUSED,
        "Google refused the length of the source",
        "Trim it (trim_video), extend it by fewer seconds, or choose a model that takes longer ones.",
    ),
    _row(
        r"unable to process input video|unsupported video\b|unsupported input video",
        SOURCE_REFUSED,
        "Google cannot use the source as it is",
        "It must be an undamaged MP4 of H.264 and AAC with 24 frames a second, for Veo in 720p or 1080p. Give the file "
        "itself, which is converted before it is sent, or convert it (convert_video).",
    ),
)


def find_source_refusal(message: str) -> SourceRefusal | None:
    """Tell from Google's message which refusal of a source it is; None when it is something else."""
    return next((row for row in REFUSALS if row.pattern.search(message[:_READ_CHARACTERS])), None)
