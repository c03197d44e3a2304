"""The records beside files. Blocking."""

import contextlib
import json
import os
import stat
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from mediagen.storage.names import candidates, is_key, record_key, record_stem
from mediagen.storage.part import translated
from mediagen.storage.placing import place_record, sync_directory, sync_file, write_temporary

MAX_RECORD_BYTES: Final = 16 * 1024**2
KNOWN_RECORDS: Final = 4096


def write_sidecar(media_or_stem: Path, record: dict[str, Any], *, is_synced: bool = True) -> Path:
    """Write the record of a file beside it, as ``<stem>.json``.

    A record of the same job and ordinal is replaced; any other file is left alone and ``_2``, ``_3``, … is added.

    Args:
        media_or_stem: The media file, or for a failure its path without suffix.
        record: JSON values; ``job_id`` and ``ordinal`` tell whose record it is.
        is_synced: Whether it is durable then; otherwise `make_durable` is still to be called.

    Returns:
        Where it is.

    Raises:
        StorageError: It cannot be written.
    """
    directory = media_or_stem.absolute().parent
    stem = record_stem(media_or_stem)
    data = f"{json.dumps(record, ensure_ascii=False, indent=2, default=str)}\n".encode("utf-8", "replace")
    with translated(directory):
        try:
            path = _written(directory, stem, record, data, is_synced=is_synced)
        except FileNotFoundError:
            # Another process that writes the record of the same call has taken the unfinished one away.
            path = _written(directory, stem, record, data, is_synced=is_synced)
        if is_synced:
            sync_directory(directory)
        return path


def _written(directory: Path, stem: str, record: dict[str, Any], data: bytes, *, is_synced: bool) -> Path:
    temporary = write_temporary(directory, data, key=_key_of(record), is_synced=is_synced)
    try:
        if earlier := _own_record(directory, stem, record):
            temporary.replace(earlier)
            return earlier
        return place_record(temporary, directory, stem)
    finally:
        temporary.unlink(missing_ok=True)


def make_durable(records: Iterable[Path]) -> None:
    """Make the contents of records durable; one that its owner has moved or closed is his."""
    for record in records:
        with contextlib.suppress(OSError):
            sync_file(record)


def remove_record(media: Path, job_id: str, ordinal: int) -> None:
    """Remove the record beside a file that is removed, if it is that of a job.

    Raises:
        StorageError: It cannot be removed.
    """
    record = media.with_name(f"{record_stem(media.with_suffix(''))}.json")
    with translated(media.parent), contextlib.suppress(FileNotFoundError):
        if _identity(str(record)) == (job_id, ordinal):
            record.unlink(missing_ok=True)


def remove_failure(stem: Path, job_id: str, ordinal: int) -> None:
    """Remove the record that a file could not be had, because it is here after all; files stay.

    Args:
        stem: Path of the file without suffix.
        job_id: Whose record it is.
        ordinal: The same.

    Raises:
        StorageError: It cannot be removed.
    """
    directory = stem.absolute().parent
    with translated(directory):
        earlier = _own_record(directory, record_stem(stem), {"job_id": job_id, "ordinal": ordinal})
        if earlier and json.loads(earlier.read_bytes()).get("status") == "ERROR":
            earlier.unlink()


def _key_of(record: dict[str, Any]) -> str | None:
    """Names the unfinished record of a paid call; of anything else there is none that could be found again."""
    key = record_key(record.get("job_id", ""), record.get("ordinal"))
    return key if "job_id" in record and is_key(key) else None


def _own_record(directory: Path, stem: str, record: dict[str, Any]) -> Path | None:
    """Find the record that the same paid call wrote earlier."""
    if "job_id" not in record:
        return None
    for candidate in candidates(stem):
        path = f"{directory}{os.sep}{candidate}.json"
        try:
            found = _identity(path)
        except FileNotFoundError:
            return None
        if found == (record["job_id"], record.get("ordinal")):
            return Path(path)
    return None


def _identity(path: str) -> tuple[object, object] | None:
    """Whose record a file is; None of one that is none.

    Raises:
        FileNotFoundError: There is no file.
    """
    try:
        state = os.stat(path)  # noqa: PTH116 - as in is_there
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_RECORD_BYTES:
            return None
        return _read_identity(path, (state.st_ino, state.st_mtime_ns, state.st_size))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError):
        return None


# Hundreds of records of one stem are looked at for each further one.
@lru_cache(maxsize=KNOWN_RECORDS)
def _read_identity(path: str, _state: tuple[int, int, int]) -> tuple[object, object] | None:
    found = json.loads(Path(path).read_bytes())
    return (found.get("job_id"), found.get("ordinal")) if isinstance(found, dict) else None
