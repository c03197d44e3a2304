"""Resumable uploads to the Files API.

Source: https://ai.google.dev/gemini-api/docs/files (checked 2026-11-21)
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from mediagen.emulator.answers import google_error
from mediagen.emulator.files import FileShelf, StoredFile


@dataclass(kw_only=True, slots=True)
class Upload:
    """One upload under way."""

    file_id: str
    path: Path
    mime_type: str
    display_name: str
    expected_bytes: int | None
    received_bytes: int = 0


class UploadDesk:
    """All uploads under way."""

    def __init__(self, files: FileShelf, processing_seconds: float) -> None:
        self._files = files
        self._processing_seconds = processing_seconds
        self._uploads: dict[str, Upload] = {}

    def start(self, *, mime_type: str, display_name: str, expected_bytes: int | None) -> str:
        """Open an upload and give its id."""
        file_id, path = self._files.new_path()
        path.touch()
        upload_id = secrets.token_urlsafe(16)
        self._uploads[upload_id] = Upload(
            file_id=file_id, path=path, mime_type=mime_type, display_name=display_name, expected_bytes=expected_bytes
        )
        return upload_id

    def get(self, upload_id: str) -> Upload:
        """Find an upload.

        Raises:
            ApiError: There is none of that id.
        """
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise google_error(404, "Upload session not found.")
        return upload

    async def append(self, upload: Upload, offset: int, chunks: AsyncIterator[bytes]) -> None:
        """Write the next bytes.

        Raises:
            ApiError: The offset is not where the upload stands.
        """
        if offset != upload.received_bytes:
            raise google_error(400, f"Upload offset is {upload.received_bytes}, not {offset}.")
        async with await anyio.open_file(upload.path, "ab") as stream:
            async for chunk in chunks:
                await stream.write(chunk)
                upload.received_bytes += len(chunk)

    async def finish(self, upload_id: str) -> StoredFile:
        """Turn an upload into a file.

        Raises:
            ApiError: Fewer or more bytes came than were announced.
        """
        upload = self.get(upload_id)
        if upload.expected_bytes is not None and upload.expected_bytes != upload.received_bytes:
            raise google_error(400, f"Expected {upload.expected_bytes} bytes, got {upload.received_bytes}.")
        del self._uploads[upload_id]
        return await anyio.to_thread.run_sync(
            lambda: self._files.put(
                upload.file_id,
                mime_type=upload.mime_type,
                source="UPLOADED",
                display_name=upload.display_name,
                processing_seconds=self._processing_seconds,
            )
        )

    def abandon(self, upload_id: str) -> None:
        """Throw an upload away."""
        upload = self.get(upload_id)
        del self._uploads[upload_id]
        upload.path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Throw all uploads away."""
        for upload_id in list(self._uploads):
            self.abandon(upload_id)
