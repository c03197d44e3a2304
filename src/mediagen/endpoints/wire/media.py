"""Pictures and videos as they go into a request body."""

import base64
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class WireMedia:
    """One input file: either its bytes or an address that Google can read.

    Attributes:
        mime_type: For example ``image/png``.
        data: The bytes themselves, or None when `uri` is given.
        uri: Files API address, gs:// or https, or None when `data` is given.
        placeholder: Shown in place of bytes that do not exist yet, as those of a frame in a dry run.
    """

    mime_type: str
    data: bytes | None = None
    uri: str | None = None
    placeholder: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.uri is None):
            raise ValueError("give either data or uri")

    @property
    def base64(self) -> str:
        """The bytes as base64."""
        if self.placeholder is not None:
            return self.placeholder
        return base64.b64encode(self.data or b"").decode("ascii")


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoMedia:
    """Files that go into a clip.

    Attributes:
        references: Pictures to keep consistent, in the order the prompt speaks of them.
        source_video: Video to extend or edit.
        previous_interaction_id: Interaction whose clip is extended; needs no file.
    """

    first_frame: WireMedia | None = None
    last_frame: WireMedia | None = None
    references: tuple[WireMedia, ...] = ()
    source_video: WireMedia | None = None
    previous_interaction_id: str | None = None


def sniff_mime_type(data: bytes, declared: str) -> str:
    """Find the type of a picture or video from its first bytes; `declared` when they say nothing.

    Google's declared type cannot be trusted for pictures.
    """
    for start, mime_type in _MAGIC:
        if data.startswith(start):
            return mime_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] not in _STILL_BRANDS:
        return "video/mp4"
    return declared


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1")
