"""The files that clients uploaded and that models produced, kept on disk."""

import base64
import hashlib
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from mediagen.emulator.answers import SERVICE, ApiError, google_error
from mediagen.emulator.faults import Fault

RETENTION = timedelta(hours=48)
_FILE_PATH = re.compile(r"/(?:v1|v1beta)/files/([a-z0-9-]+)(?::download)?$")
_FILE_NAME = re.compile(r"(?:files/)([a-z0-9-]+)$")
Source = Literal["UPLOADED", "GENERATED"]


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(kw_only=True, slots=True)
class StoredFile:
    """One file of the Files API."""

    id: str
    path: Path
    mime_type: str
    size_bytes: int
    sha256: str
    source: Source
    display_name: str
    created_at: datetime
    active_from: float
    faults: list[Fault] = field(default_factory=list)
    expired: bool = False

    @property
    def is_expired(self) -> bool:
        """Whether its time is over; uploaded and produced files live equally long."""
        return self.expired or datetime.now(UTC) - self.created_at >= RETENTION

    @property
    def is_active(self) -> bool:
        """Whether the file may be used."""
        return time.monotonic() >= self.active_from

    def as_json(self, base_url: str) -> dict[str, Any]:
        """Give the file the way Google shows it."""
        uri = f"{base_url}v1beta/files/{self.id}"
        shown = {
            "name": f"files/{self.id}",
            "mimeType": self.mime_type,
            "sizeBytes": str(self.size_bytes),
            "createTime": _timestamp(self.created_at),
            "updateTime": _timestamp(self.created_at),
            "expirationTime": _timestamp(self.created_at + RETENTION),
            # Google sends the base64 of the hexadecimal digest, not of the digest
            "sha256Hash": base64.b64encode(self.sha256.encode()).decode(),
            "uri": uri,
            "state": "ACTIVE" if self.is_active else "PROCESSING",
            "source": self.source,
        }
        if self.display_name:
            shown["displayName"] = self.display_name
        if self.source == "GENERATED":
            shown["downloadUri"] = f"{uri}:download?alt=media"
        return shown


def no_such_file(file_id: str) -> ApiError:
    """Build Google's refusal for a file that is unknown, expired or somebody else's."""
    return google_error(403, f"You do not have permission to access the File {file_id} or it may not exist.")


def file_sha256(path: Path) -> str:
    """Hash a file without reading it whole."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class FileShelf:
    """All files of one emulator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, StoredFile] = {}
        self._served: list[dict[str, Any]] = []

    def new_path(self) -> tuple[str, Path]:
        """Give an unused id and the path where its bytes go."""
        file_id = secrets.token_hex(6)
        return file_id, self.folder / file_id

    def put(
        self,
        file_id: str,
        *,
        mime_type: str,
        source: Source,
        display_name: str = "",
        processing_seconds: float = 0.0,
    ) -> StoredFile:
        """Register the bytes that lie at the path of an id."""
        path = self.folder / file_id
        stored = StoredFile(
            id=file_id,
            path=path,
            mime_type=mime_type,
            size_bytes=path.stat().st_size,
            sha256=file_sha256(path),
            source=source,
            display_name=display_name,
            created_at=datetime.now(UTC),
            active_from=time.monotonic() + processing_seconds,
        )
        self._files[file_id] = stored
        if source == "GENERATED":
            self.note_served(file_id, sha256=stored.sha256, size_bytes=stored.size_bytes, mime_type=mime_type)
        return stored

    def note_served(self, identity: str, *, sha256: str, size_bytes: int, mime_type: str) -> None:
        """Remember a produced file or picture for the admin list."""
        entry = {"id": identity, "sha256": sha256, "size_bytes": size_bytes, "mime_type": mime_type}
        self._served.append(entry)

    def served(self) -> list[dict[str, Any]]:
        """List what was produced, oldest first."""
        return list(self._served)

    def get(self, file_id: str) -> StoredFile:
        """Find a file.

        Raises:
            ApiError: There is none of that id, or it expired.
        """
        stored = self._files.get(file_id)
        if stored is None or stored.is_expired:
            raise no_such_file(file_id)
        return stored

    def resolve(self, uri: str, host: str) -> StoredFile | None:
        """Find the file a URI means; None when it lies elsewhere on the web.

        Raises:
            ApiError: The URI is none, or means a file that is unknown or not yet active.
        """
        parts = urlsplit(uri)
        if not parts.scheme:
            match = _FILE_NAME.fullmatch(uri)
        elif parts.netloc in {host, SERVICE}:
            match = _FILE_PATH.fullmatch(parts.path)
        elif parts.scheme == "https":
            return None
        else:
            match = None
        if match is None:
            raise google_error(400, "Invalid or unsupported file uri.")
        stored = self.get(match.group(1))
        if not stored.is_active:
            message = f"The File {stored.id} is not in an ACTIVE state and usage is not allowed."
            raise google_error(400, message, status="FAILED_PRECONDITION")
        return stored

    def listing(self) -> list[StoredFile]:
        """List the files, newest first."""
        return [stored for stored in reversed(self._files.values()) if not stored.is_expired]

    def delete(self, file_id: str) -> None:
        """Remove a file.

        Raises:
            ApiError: There is none of that id.
        """
        self.get(file_id).path.unlink(missing_ok=True)
        del self._files[file_id]

    def age(self, seconds: float) -> None:
        """Make all files older."""
        for stored in self._files.values():
            stored.created_at -= timedelta(seconds=seconds)

    def clear(self) -> None:
        """Remove all files."""
        for stored in self._files.values():
            stored.path.unlink(missing_ok=True)
        self._files = {}
        self._served = []
