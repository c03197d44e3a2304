"""What a caller names as an input: a path, a data: URI, an address or an artifact. Pure."""

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from mediagen.errors import InvalidRequestError

ARTIFACT_PREFIX: Final = "mediagen://artifacts/"
UPLOAD_PREFIX: Final = "mediagen://uploads/"
SUFFIX_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
}
MAX_SHOWN: Final = 300
# How a file that is elsewhere comes to a server of this machine, and to one of another.
BY_PATH: Final = "give its path (on a shared server: send it with POST /files, and give the address of the answer)"

# A single letter before the colon is a Windows drive, not a scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_ARTIFACT_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DATA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalSource:
    """A file on this machine, as named (not resolved yet)."""

    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactSource:
    """A file that an earlier job made."""

    artifact_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadSource:
    """A file that a caller sent to the files endpoint."""

    upload_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteSource:
    """An address that Google reads by itself.

    Attributes:
        mime_type: Guessed from the suffix; None when that says nothing.
    """

    uri: str
    mime_type: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSource:
    """The bytes of a data: URI.

    Attributes:
        declared_type: Mime type that the URI claims; empty when it claims none.
        shown: How to name it: short, whatever its size.
    """

    data: bytes
    declared_type: str
    shown: str


ParsedSource = LocalSource | ArtifactSource | UploadSource | RemoteSource | DataSource


def shown(source: str) -> str:
    """Name a source in messages: short, and without what an address may carry of passwords and signatures."""
    if source[:5].lower() == "data:":
        declared = source[5:80].partition(",")[0].partition(";")[0]
        return f"data:{declared if _DATA_TYPE.fullmatch(declared) else ''};…"
    if "://" in source[:20]:
        source = source.partition("?")[0].partition("#")[0]
        source = re.sub(r"//[^/]*@", "//", source)
    return repr(source if len(source) <= MAX_SHOWN else f"{source[:MAX_SHOWN]}…")


def parse_source(source: str, field: str, *, max_bytes: int) -> ParsedSource:
    """Find out what a caller names.

    Args:
        source: What the caller gave.
        field: Argument it was given for; named in errors.
        max_bytes: Largest content of a data: URI.

    Raises:
        InvalidRequestError: It is empty, malformed, too large, or of a kind that is not accepted.
    """
    if not source.strip():
        raise InvalidRequestError(f"{field} is empty.", field=field, hint="Give a path or leave it out.")
    match = _SCHEME.match(source)
    scheme = match[1].lower() if match else ""
    if "\0" in source or (scheme and not _is_address(source, scheme)):
        raise InvalidRequestError(f"{field} holds characters that no path or address can have.", field=field)
    if scheme == "data":
        return _data(source, field, max_bytes)
    if scheme == "file":
        return _file_uri(source, field)
    if "://" not in source[: len(scheme) + 3]:
        return LocalSource(path=Path(source))
    if source.startswith(ARTIFACT_PREFIX):
        return _artifact(source, field)
    if source.startswith(UPLOAD_PREFIX):
        return _upload(source, field)
    return _remote(source, scheme, field)


def _is_address(text: str, scheme: str) -> bool:
    try:
        is_text = text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
    return is_text and (scheme == "data" or not _CONTROLS.search(text))


def _artifact(source: str, field: str) -> ArtifactSource:
    artifact_id = source.removeprefix(ARTIFACT_PREFIX)
    if not _ARTIFACT_ID.fullmatch(artifact_id):
        raise InvalidRequestError(
            f"{field}={shown(source)} is no artifact address.",
            field=field,
            hint=f"It looks like {ARTIFACT_PREFIX}<id>, as in the result of a job.",
        )
    return ArtifactSource(artifact_id=artifact_id)


def _upload(source: str, field: str) -> UploadSource:
    upload_id = source.removeprefix(UPLOAD_PREFIX)
    if not _ARTIFACT_ID.fullmatch(upload_id):
        raise InvalidRequestError(
            f"{field}={shown(source)} is no address of an uploaded file.",
            field=field,
            hint=f"It looks like {UPLOAD_PREFIX}<id>, as the files endpoint answers it.",
        )
    return UploadSource(upload_id=upload_id)


def _split(source: str, field: str) -> SplitResult:
    try:
        return urlsplit(source)
    except ValueError as error:
        raise InvalidRequestError(f"{field}={shown(source)} is no valid address.", field=field) from error


def _file_uri(source: str, field: str) -> LocalSource:
    parts = _split(source, field)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise InvalidRequestError(
            f"{field}={shown(source)} names a file on another machine.", field=field, hint="Give a local path."
        )
    return LocalSource(path=Path(url2pathname(parts.path)))


def _remote(source: str, scheme: str, field: str) -> RemoteSource:
    if scheme == "http":
        raise InvalidRequestError(
            f"{field}={shown(source)} is not encrypted.",
            field=field,
            hint=f"Use the https address, or download the file and {BY_PATH}.",
        )
    parts = _split(source, field)
    if scheme not in {"https", "gs"} or not parts.netloc:
        raise InvalidRequestError(
            f"{field}={shown(source)} is not an address that can be used.",
            field=field,
            hint="Give a local path, an https URL, a gs:// URI, a data: URI or mediagen://artifacts/<id>.",
        )
    if scheme == "https" and "@" in parts.netloc:
        # It would be kept in the ledger and in records.
        raise InvalidRequestError(
            f"{field}={shown(source)} has a user name or a password in it.",
            field=field,
            hint=f"Download the file first and {BY_PATH}.",
        )
    suffix = PurePosixPath(unquote(parts.path)).suffix.lower()
    return RemoteSource(uri=source, mime_type=SUFFIX_TYPES.get(suffix))


def host_of(uri: str, field: str) -> str:
    """Host of an address, without signs of other alphabets, which may stand for its digits, dots and letters.

    Raises:
        InvalidRequestError: It has an impossible port.
    """
    parts = _split(uri, field)
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidRequestError(f"{field}={shown(uri)} has an impossible port.", field=field) from error
    return unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".")


def _data(source: str, field: str, max_bytes: int) -> DataSource:
    head, comma, body = source[5:].partition(",")
    if not comma:
        raise InvalidRequestError(
            f"{field} is a data: URI without data.", field=field, hint="It looks like data:image/png;base64,iVBORw…"
        )
    if len(body) > 3 * max_bytes:
        raise too_large(field, shown(source), max_bytes)
    words = [word.strip().lower() for word in head.split(";")]
    declared = words[0] if _DATA_TYPE.fullmatch(words[0]) else ""
    data = _decoded(body, field) if "base64" in words[1:] else unquote_to_bytes(body)
    if len(data) > max_bytes:
        raise too_large(field, shown(source), max_bytes)
    return DataSource(data=data, declared_type=declared, shown=f"data:{declared};…({len(data)} bytes)")


def _decoded(body: str, field: str) -> bytes:
    try:
        text = "".join((unquote(body) if "%" in body else body).split())
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidRequestError(
            f"{field} is a data: URI whose base64 text is damaged or cut off.",
            field=field,
            hint=f"Encode the file again, or {BY_PATH}.",
        ) from error


def too_large(field: str, name: str, max_bytes: int) -> InvalidRequestError:
    """Error for an input above its limit."""
    limit = f"{max_bytes / 1024**2:g} MB" if max_bytes < 1024**3 else f"{max_bytes / 1024**3:g} GB"
    return InvalidRequestError(
        f"{field}={name} is larger than {limit}.", field=field, hint="Make it smaller.", code="input_too_large"
    )
