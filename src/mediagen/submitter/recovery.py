"""What the files of a spool say about paid calls. Blocking."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from mediagen.submitter.answer_file import read_head
from mediagen.submitter.base import Answer, Settled
from mediagen.submitter.tickets import (
    State,
    Ticket,
    attempts,
    close_folder,
    is_note,
    look,
    path_of,
    settle_attempt,
    was_opened,
)

_SETTLING = 5


def read_answer(folder: Path, attempt: int) -> Answer:
    """The stored answer of an attempt.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
    """
    path = Path(path_of(str(folder), attempt, "answer"))
    head, offset = read_head(str(path))
    if path.stat().st_size != offset + head["size"]:
        raise ValueError("the body has another size")
    return answer_of(folder, attempt, {**head, "offset": offset})


def answer_of(folder: Path, attempt: int, head: Mapping[str, Any], told: bytes = b"") -> Answer:
    """The answer of an attempt, of which the head is known; it may still be on its way to its name.

    Args:
        folder: Of the call.
        attempt: Of the call.
        head: What came before the body, and how that ended.
        told: The body, if it is known.

    Raises:
        ValueError, TypeError, KeyError: That is no head.
    """
    end: Literal["whole", "cut", "too_large"] = head["end"]
    return Answer(
        status_code=int(head["status"]),
        headers={str(name): str(value) for name, value in head["headers"]},
        path=Path(path_of(str(folder), attempt, "answer")),
        unfinished=Path(path_of(str(folder), attempt, "part")),
        told=told,
        offset=int(head["offset"]),
        size_bytes=int(head["size"]),
        end=end,
    )


def next_attempt(folder: Path) -> int:
    """Number for a new attempt.

    Raises:
        OSError: The folder cannot be read.
    """
    return max(attempts(str(folder)), default=0) + 1


def settle_call(folder: Path, token: str = "") -> Settled:
    """Decide about a call of a dead server; see `Submitter.settle`.

    Args:
        folder: Of the call.
        token: Under which it was to be sent; of one for which the folder was not opened nothing is known.

    Raises:
        OSError: The spool cannot be read or written.
    """
    if not folder.is_dir() or not _tells_of(folder, token):
        # A person may have removed it since, or the server sent the request itself.
        return Settled(folder=folder, state="lost")
    last = 0
    for _ in range(_SETTLING):
        known = {attempt: settle_attempt(str(folder), attempt) for attempt in attempts(str(folder))}
        found = _verdict(folder, known)
        last = max(known, default=0)
        # A request may still lie unread in the socket of a submitter whose server is dead.
        if found.state == "sending" or known.get(last) == "void":
            return found
        settle_attempt(str(folder), last + 1)
    return Settled(folder=folder, state="sending")


def look_at_call(folder: Path, token: str = "") -> Settled:
    """What the files say about a call at this moment; changes nothing. See `settle_call`.

    Raises:
        OSError: The spool cannot be read.
    """
    known = {attempt: look(str(folder), attempt) for attempt in attempts(str(folder))}
    return _verdict(folder, known) if known and _tells_of(folder, token) else Settled(folder=folder, state="lost")


def _tells_of(folder: Path, token: str) -> bool:
    return was_opened(str(folder), token) or (not token and bool(attempts(str(folder))))


def remove_unbegun(folder: Path, older_than_seconds: float) -> None:
    """Remove what was made for a call of which no ledger knows: nothing was handed over, and nobody will do it now.

    Args:
        folder: Of the call; whatever has a ticket stays.
        older_than_seconds: The folder; a younger one may be of a job that is being taken in.
    """
    with contextlib.suppress(OSError):
        is_old = time.time() - folder.stat().st_mtime > older_than_seconds
        if not is_old or not all(is_note(path.name) for path in folder.iterdir()):
            return
        # Whoever takes a ticket in this moment sends nothing after this, or has it already.
        close_folder(str(folder))
        notes = [*folder.iterdir()]
        if all(is_note(note.name) for note in notes):
            for note in notes:
                note.unlink()
            folder.rmdir()


def is_sending(folder: Path) -> bool:
    """Whether a submitter may still write an answer into a folder."""
    try:
        return any(look(str(folder), attempt) == "sending" for attempt in attempts(str(folder)))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def leave_unwatched(folder: Path, number: int, token: str = "") -> None:
    """Note, durably, that the server itself sends a call from now on, of which this folder may say otherwise.

    Raises:
        FileExistsError, FileNotFoundError: Another process has taken the call over: it must not be sent.
        OSError: It cannot be written down.
    """
    ticket = Ticket(str(folder), number, token)
    try:
        ticket.mark_sent()
    finally:
        ticket.close()


def _verdict(folder: Path, known: dict[int, State]) -> Settled:
    """An attempt follows another only when that was certainly rejected, so the last one that left decides."""
    for attempt in sorted(known, reverse=True):
        match known[attempt]:
            case "answered":
                return _answered(folder, attempt)
            case "sending":
                return Settled(folder=folder, state="sending")
            case "lost":
                return Settled(folder=folder, state="lost")
            case "void" | "never_sent":
                continue
    return Settled(folder=folder, state="never_sent")


def _answered(folder: Path, attempt: int) -> Settled:
    try:
        return Settled(folder=folder, state="answered", answer=read_answer(folder, attempt))
    except (ValueError, TypeError):
        return Settled(folder=folder, state="lost")
