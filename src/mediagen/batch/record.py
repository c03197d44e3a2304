"""The note in the folder of a batch by which it is found again: what it was made of, and whether it is done.

What became of each row stands in the ledger, under the id that is made from that of the batch.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from mediagen.batch.rows import Row
from mediagen.errors import InvalidRequestError
from mediagen.storage.placing import storage_error, sync_directory, write_temporary

NAME = "batch.json"
VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchRecord:
    """One batch.

    Attributes:
        digest: Of everything that its rows ask for.
        is_done: Whether nothing of it is left to be made.
        economy: Whether its rows are batches at Google.
        agreed_usd: Price that was agreed to, as far as prices were known.
    """

    batch_id: str
    source: str
    digest: str
    rows: int
    began_at: str
    is_done: bool = False
    economy: bool = False
    agreed_usd: str | None = None


def is_dearer(record: BatchRecord, now: Decimal) -> bool:
    """Whether a batch costs more by now than what was agreed to."""
    try:
        return record.agreed_usd is not None and now > Decimal(record.agreed_usd)
    except (InvalidOperation, TypeError, ValueError):
        return True


def digest_of(rows: Sequence[Row]) -> str:
    """The same for two files that ask for the same in the same order."""
    asked = [[row.kind, row.request.model_dump(mode="json", exclude_unset=True)] for row in rows]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def find_begun(root: Path, digest: str, *, may_be_done: bool = False) -> tuple[Path, BatchRecord] | None:
    """Find the newest batch below a folder that asked for the same, and is not done unless it may be; blocking."""
    for file in sorted(root.glob(f"batch_*/{NAME}"), reverse=True):
        record = _read(file)
        if record and record.digest == digest and (may_be_done or not record.is_done):
            return file.parent, record
    return None


def begin(root: Path, rows: Sequence[Row], source: str, now: datetime, agreed: Decimal) -> tuple[Path, BatchRecord]:
    """Make the folder of a new batch, with its note; blocking.

    Args:
        root: Where the folder is made.
        rows: What is asked for.
        source: Name of the file that asks for it.
        now: The present.
        agreed: Price of all, in US dollars.

    Raises:
        InvalidRequestError: The folder cannot be made.
        StorageError: The note cannot be written.
    """
    record = BatchRecord(
        batch_id=secrets.token_hex(6),
        source=source,
        digest=digest_of(rows),
        rows=len(rows),
        began_at=now.isoformat(timespec="seconds"),
        economy=any(row.request.is_economy for row in rows),
        agreed_usd=str(agreed),
    )
    folder = _new_folder(root, f"batch_{now:%Y%m%d-%H%M%S}")
    write(folder, record)
    return folder, record


def write(folder: Path, record: BatchRecord) -> None:
    """Write the note, in place of the one before; blocking.

    Raises:
        StorageError: It cannot be written; the one before stays.
    """
    text = json.dumps({"version": VERSION, **asdict(record)}, indent=2, ensure_ascii=False)
    temporary = write_temporary(folder, f"{text}\n".encode())
    try:
        temporary.replace(folder / NAME)
        sync_directory(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, folder) from error


def _new_folder(root: Path, name: str) -> Path:
    for number in range(1, 1000):
        folder = root / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InvalidRequestError(
                f"{folder} cannot be made: {error.strerror}.", field="output_dir", hint="Name another folder."
            ) from error
        return folder
    raise InvalidRequestError(f"{root} has too many folders of this second.", field="output_dir")


def _read(file: Path) -> BatchRecord | None:
    """Read a note; None when it is none of ours."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return BatchRecord(**{name: value for name, value in found.items() if name != "version"})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
