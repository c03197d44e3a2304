"""Puts a record into a file that must be delivered whatever becomes of the record. Blocking."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediagen.errors import MediaGenError
from mediagen.media.metadata.files import embed_record, recorded

logger = logging.getLogger(__name__)


def with_record(data: bytes, record: Mapping[str, Any]) -> bytes | None:
    """A file that is in memory with a record in it, or as it is where a signature forbids any change.

    Returns:
        None where `put_record` would say why not.
    """
    try:
        return recorded(data, record)
    except Exception as error:  # noqa: BLE001 - as below
        logger.info("a record could not be put into a file in memory: %s", type(error).__name__)
        return None


def put_record(
    path: Path, record: Mapping[str, Any], *, temporary: Path | None = None, renamed: str | None = None
) -> str:
    """Put a record into a file, unless that is signed.

    Args:
        path: The file.
        record: JSON.
        temporary: Name of the unfinished copy; None takes one that is free.
        renamed: Name that the new file takes instead of that of the old one, which is removed.

    Returns:
        Why it is not in there, in words; empty when it is, or when a signature forbids any change.
    """
    try:
        # Any change would break Google's signature.
        if embed_record(path, record, temporary=temporary, renamed=renamed, if_signed=True):
            return ""
    except MediaGenError as error:
        return f"The record could not be put into the file: {error.code}. It is in the sidecar."
    except Exception as error:  # noqa: BLE001 - a file is delivered whatever is wrong with its insides
        # Only the kind of the exception: its text may hold a prompt.
        logger.error("a record could not be put into a file: %s", type(error).__name__)  # noqa: TRY400 - as above
    return (
        "The record could not be put into the file, which is damaged or of a format without a place for it. "
        "It is in the sidecar."
    )
