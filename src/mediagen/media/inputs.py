"""Pictures, documents and videos that a caller passes in: read and checked before anything is sent."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, assert_never

import anyio

from mediagen.errors import InvalidRequestError, MediaError
from mediagen.media.fetch_guard import check_name
from mediagen.media.local_files import read_file, resolve_local
from mediagen.media.pictures import prepare_picture
from mediagen.media.sniff import SNIFF_BYTES, sniff
from mediagen.media.sources import (
    BY_PATH,
    ArtifactSource,
    DataSource,
    LocalSource,
    RemoteSource,
    UploadSource,
    host_of,
    parse_source,
    shown,
)
from mediagen.media.stills import STILL_FORMATS

# Of a picture as it is sent. Source: https://ai.google.dev/gemini-api/docs/image-understanding (checked 2026-11-21)
MAX_IMAGE_BYTES: Final = 20 * 1024**2
# Of a picture as it is given: it is read whole, and scaled down when it is larger than what is sent.
MAX_SOURCE_BYTES: Final = 200 * 1024**2
MAX_DOCUMENT_BYTES: Final = 1024**2
MAX_VIDEO_BYTES: Final = 2 * 1024**3  # Source: https://ai.google.dev/gemini-api/docs/files (checked 2026-11-21)
# Source: https://ai.google.dev/gemini-api/docs/image-understanding (checked 2026-11-21)
SENT_AS_THEY_ARE: Final = frozenset({"image/png", "image/jpeg", "image/webp"})
DOCUMENT_TYPES: Final = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".csv": "text/csv",
    ".json": "application/json",
}
_FORBIDDEN_IN_TEXT = frozenset(range(32)) - {9, 10, 12, 13, 27}


@dataclass(frozen=True, kw_only=True, slots=True)
class InputMedia:
    """One input, ready to be sent.

    Attributes:
        field: Argument it was given for.
        source: As given; a data: URI shortened to ``data:image/png;…(N bytes)``.
        mime_type: Real type of the bytes; of an address, the type that its suffix says.
        data: Bytes to send, or None for a video (streamed from `path`) and for an address.
        path: Real file, or None for a data: URI and an address.
        uri: Address that Google reads by itself; nothing else is known of it then.
        sha256: Of the bytes to send, in hexadecimal.
        width: As shown (rotation applied), in pixels.
        conversion: What was done to the file, in words; None when its bytes are sent as they are.
    """

    field: str
    source: str
    mime_type: str
    data: bytes | None = None
    path: Path | None = None
    uri: str | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    has_audio: bool | None = None
    size_bytes: int | None = None
    conversion: str | None = None

    async def read(self) -> bytes:
        """The bytes to send.

        Raises:
            InvalidRequestError: The file changed since it was checked, or can no longer be read.
        """
        if self.data is not None or self.path is None:
            return self.data or b""
        return await anyio.to_thread.run_sync(self._read_again, self.path)

    def _read_again(self, path: Path) -> bytes:
        data = read_file(path, self.field, max_bytes=self.size_bytes or MAX_VIDEO_BYTES)
        if self.sha256 is not None and hashlib.sha256(data).hexdigest() != self.sha256:
            raise InvalidRequestError(
                f"{self.field}={shown(self.source)} changed while it was made ready.",
                field=self.field,
                hint="Nothing was sent; call again once it is written completely.",
                code="source_changed",
            )
        return data


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    """Bytes of a source and how they came here."""

    data: bytes
    source: str
    name: str
    path: Path | None = None
    declared_type: str = ""


async def no_uploads(upload_id: str) -> Path:
    """Where nobody can send files.

    Raises:
        InvalidRequestError: Always.
    """
    raise InvalidRequestError(f"There is no uploaded file {upload_id!r}.", hint="Give its path.", code="upload_gone")


class InputLoader:
    """Loads what a caller names.

    Args:
        roots: Folders from which local files may be read; None allows every folder.
        resolve_artifact: Gives the path of a file that an earlier job made; its errors are passed on.
        resolve_upload: Gives the path of a file that the caller sent; its errors are passed on.
        takes_paths: Whether callers may name files of this machine.
        max_bytes: Largest picture that is sent, in bytes; larger ones are scaled down.
        one_at_a_time: Shared with other loaders of this process.
    """

    def __init__(
        self,
        roots: Sequence[Path] | None,
        resolve_artifact: Callable[[str], Awaitable[Path]],
        *,
        resolve_upload: Callable[[str], Awaitable[Path]] = no_uploads,
        takes_paths: bool = True,
        max_bytes: int = MAX_IMAGE_BYTES,
        one_at_a_time: anyio.CapacityLimiter | None = None,
    ) -> None:
        self._roots = None if roots is None else tuple(roots)
        self._resolve_artifact = resolve_artifact
        self._resolve_upload = resolve_upload
        self._takes_paths = takes_paths
        self._max_bytes = max_bytes
        # Decoding the largest picture takes hundreds of megabytes, so they are decoded one after the other.
        self._one_at_a_time = one_at_a_time or anyio.CapacityLimiter(1)

    def for_guest(
        self, resolve_artifact: Callable[[str], Awaitable[Path]], resolve_upload: Callable[[str], Awaitable[Path]]
    ) -> "InputLoader":
        """The same for a caller from elsewhere: no path of this machine, and only the caller's own files."""
        return InputLoader(
            (),
            resolve_artifact,
            resolve_upload=resolve_upload,
            takes_paths=False,
            max_bytes=self._max_bytes,
            one_at_a_time=self._one_at_a_time,
        )

    async def load_image(self, source: str, field: str) -> InputMedia:
        """Load a picture as it is sent: upright, without location and other metadata, scaled down when too large.

        The pixels of PNG, JPEG and WebP files stay as they are where nothing else is needed; GIF, BMP, TIFF, HEIC and
        AVIF become the PNG or JPEG of their first frame. `conversion` tells what was done. The file is never changed.

        An https or gs:// address is not fetched: it is handed on with the mime type that its suffix says.

        Raises:
            InvalidRequestError: It cannot be found, read or used; names the field and what to do.
            JobNotFoundError: There is no such artifact.
        """
        content = await self._content(source, field, MAX_SOURCE_BYTES)
        if isinstance(content, RemoteSource):
            return _remote_image(content, field)
        return await self._prepared(content, field)

    async def load_document(self, source: str, field: str) -> InputMedia:
        """Load a text file: UTF-8, at most 1 MB.

        Raises:
            InvalidRequestError: It cannot be found or read, is too large or is not text.
            JobNotFoundError: There is no such artifact.
        """
        content = await self._content(source, field, MAX_DOCUMENT_BYTES)
        if isinstance(content, RemoteSource):
            _refuse(field, f"{shown(source)} is an address", f"Download the document and {BY_PATH}.")
        return _document(content, field)

    async def find_local(self, source: str, field: str, *, takes_addresses: bool = True) -> Path | None:
        """Real path of a local file; None when the source is something else.

        Args:
            source: What the caller gave.
            field: Argument it was given for.
            takes_addresses: Whether the caller could give an address of the web instead.

        Raises:
            InvalidRequestError: It cannot be found or may not be read.
        """
        if source[:5].lower() == "data:":
            return None
        parsed = parse_source(source, field, max_bytes=0)
        if isinstance(parsed, LocalSource) and not self._takes_paths:
            raise _path_of_elsewhere(parsed, field, takes_addresses=takes_addresses)
        return await self._path(parsed, field) if isinstance(parsed, LocalSource | UploadSource) else None

    async def image_from(self, data: bytes, source: str, field: str) -> InputMedia:
        """Take in a picture that was read from elsewhere; see `load_image`."""
        content = _Content(data=data, source=source, name=shown(source))
        return await self._prepared(content, field)

    async def _prepared(self, content: _Content, field: str) -> InputMedia:
        return await anyio.to_thread.run_sync(_image, content, field, self._max_bytes, limiter=self._one_at_a_time)

    async def _content(self, source: str, field: str, max_bytes: int) -> _Content | RemoteSource:
        parsed = parse_source(source, field, max_bytes=max_bytes)
        match parsed:
            case RemoteSource():
                return parsed
            case DataSource(data=data, declared_type=declared, shown=name):
                if not data:
                    _refuse(field, "the data: URI is empty", "Give a file with contents.")
                return _Content(data=data, source=name, name=name, declared_type=declared)
            case LocalSource() | ArtifactSource() | UploadSource():
                path = await self._path(parsed, field)
                data = await anyio.to_thread.run_sync(lambda: read_file(path, field, max_bytes=max_bytes))
                return _Content(data=data, source=source, name=shown(source), path=path)
            case _:
                assert_never(parsed)

    async def _path(self, parsed: LocalSource | ArtifactSource | UploadSource, field: str) -> Path:
        if isinstance(parsed, LocalSource):
            if not self._takes_paths:
                raise _path_of_elsewhere(parsed, field)
            return await anyio.to_thread.run_sync(resolve_local, parsed.path, field, self._roots)
        if isinstance(parsed, UploadSource):
            stored = await self._resolve_upload(parsed.upload_id)
        else:
            stored = await self._resolve_artifact(parsed.artifact_id)
        return await anyio.to_thread.run_sync(resolve_local, stored, field, None)


def _path_of_elsewhere(source: LocalSource, field: str, *, takes_addresses: bool = True) -> InvalidRequestError:
    others = "an https or gs:// address, a data: URI" if takes_addresses else "a job id"
    return InvalidRequestError(
        f"{field}={shown(str(source.path))} is a path, and this server does not run on your machine.",
        field=field,
        hint="Send the file to the server (POST /files, with the same token) and give the mediagen:// address of the "
        f"answer; or give {others} or mediagen://artifacts/<id>.",
        code="path_not_accepted",
    )


def _refuse(field: str, why: str, hint: str, *, cause: Exception | None = None, code: str | None = None) -> NoReturn:
    raise InvalidRequestError(f"{field}: {why}.", field=field, hint=hint, code=code) from cause


def _remote_image(remote: RemoteSource, field: str) -> InputMedia:
    if remote.mime_type not in SENT_AS_THEY_ARE:
        _refuse(
            field,
            f"{shown(remote.uri)} does not say by its ending that it is a PNG, JPEG or WebP picture",
            f"Download the file first and {BY_PATH}.",
        )
    if not remote.uri.startswith("gs://"):
        # Google could not read it; to send it there would only tell what is in this network.
        check_name(host_of(remote.uri, field), field)
    return InputMedia(field=field, source=remote.uri, mime_type=remote.mime_type or "", uri=remote.uri)


def _image(content: _Content, field: str, max_bytes: int) -> InputMedia:
    mime_type = sniff(content.data[:SNIFF_BYTES])
    if mime_type not in STILL_FORMATS:
        _refuse(
            field,
            f"{content.name} is {_called(mime_type)}, not a PNG, JPEG or WebP picture",
            "Convert it to PNG or JPEG.",
            code="unsupported_input",
        )
    try:
        prepared = prepare_picture(content.data, mime_type or "", content.name, max_bytes=max_bytes)
    except MediaError as error:
        raise InvalidRequestError(f"{field}: {error.message}", field=field, hint=error.hint, code=error.code) from error
    return InputMedia(
        field=field,
        source=content.source,
        mime_type=prepared.mime_type,
        data=prepared.data,
        path=content.path,
        sha256=hashlib.sha256(prepared.data).hexdigest(),
        width=prepared.width,
        height=prepared.height,
        size_bytes=len(prepared.data),
        conversion=prepared.conversion,
    )


def _called(mime_type: str | None) -> str:
    return "of no known format" if mime_type is None else f"of type {mime_type}"


def _document(content: _Content, field: str) -> InputMedia:
    data = content.data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(field, f"{content.name} is not UTF-8 text", "Save it as UTF-8 text.", cause=error)
    if not data.strip():
        _refuse(field, f"{content.name} is empty", "Give a file with contents.")
    if _FORBIDDEN_IN_TEXT.intersection(data) or data.startswith(b"%PDF-"):
        _refuse(field, f"{content.name} is not a text file", "Give plain text, Markdown, CSV or JSON.")
    declared = content.declared_type if content.declared_type in DOCUMENT_TYPES.values() else "text/plain"
    return InputMedia(
        field=field,
        source=content.source,
        mime_type=DOCUMENT_TYPES.get(content.path.suffix.lower(), "text/plain") if content.path else declared,
        data=data,
        path=content.path,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )
