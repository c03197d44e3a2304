"""Tickets: what a later process can know about an attempt of a paid call. Standard library only; blocking."""

import contextlib
import fcntl
import os
import re
from typing import Literal

State = Literal["void", "never_sent", "sending", "lost", "answered"]
_SENT = b"sent"
_VOID = b"void"
# Of an attempt without a token; with one, the token follows.
_OPENED = "detached"
_RETIRED = "retired"
_TICKET = re.compile(r"paid-([1-9][0-9]{0,5})\.ticket")


def path_of(folder: str, attempt: int, suffix: str) -> str:
    """File of an attempt."""
    return os.path.join(folder, f"paid-{attempt}.{suffix}")  # noqa: PTH118 - pathlib costs the process milliseconds


def sync_folder(folder: str) -> None:
    """Make names in a folder durable.

    Raises:
        OSError: It cannot be done.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_folder(folder: str, token: str = "") -> None:
    """Note that a call leaves through a submitter only, so that nothing has left while there is no ticket.

    Args:
        folder: Of the call.
        token: Under which it is sent; nothing leaves under another one that was not noted, or was retired.

    Raises:
        OSError: It cannot be written.
    """
    # If a power cut takes the note away, the call counts as one that may have been sent, which is safe.
    os.close(os.open(_note(folder, _OPENED, token), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def retire(folder: str, token: str) -> None:
    """Let nothing more leave under a token, whatever its holder has still in mind.

    Raises:
        OSError: It cannot be written down.
    """
    with contextlib.suppress(FileNotFoundError):
        os.rename(_note(folder, _OPENED, token), _note(folder, _RETIRED, token))  # noqa: PTH104 - as above


def close_folder(folder: str) -> None:
    """Let nothing more leave for a call; before its tickets are looked at for the last time and removed.

    Raises:
        OSError: It cannot be written down.
    """
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):  # noqa: PTH208 - as above
            if name.partition("-")[0] == _OPENED:
                retire(folder, name.partition("-")[2])


def is_opened(folder: str, token: str = "") -> bool:
    """Whether a call may leave under a token, and the tickets of its folder tell all that has left."""
    return os.path.exists(_note(folder, _OPENED, token))  # noqa: PTH110 - as above


def was_opened(folder: str, token: str = "") -> bool:
    """Whether the tickets of a folder tell all that has left under a token, which may be retired by now."""
    # A note without a token was left by an earlier version.
    notes = [_note(folder, what, each) for what in (_OPENED, _RETIRED) for each in (token, "")]
    return any(os.path.exists(note) for note in notes)  # noqa: PTH110 - as above


def is_note(name: str) -> bool:
    """Whether a file says only that a call may leave, or might have left, under a token."""
    return name.partition("-")[0] in {_OPENED, _RETIRED}


def _note(folder: str, what: str, token: str) -> str:
    return os.path.join(folder, f"{what}-{token}" if token else what)  # noqa: PTH118 - as above


class Ticket:
    """The right to send one attempt, held by a lock until `close`."""

    def __init__(self, folder: str, attempt: int, token: str = "") -> None:
        """Take it.

        Raises:
            FileExistsError: Another took it, or it is void.
            FileNotFoundError: The call was never opened, or it has ended and its folder was removed since.
            OSError: It cannot be written.
        """
        # The folder may be there again for its files; whoever was stopped meanwhile must not take it for its own.
        if not is_opened(folder, token):
            raise FileNotFoundError("not opened")
        self._folder = folder
        self.is_sent = False
        path = path_of(folder, attempt, "ticket")
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if os.pread(self._file, 4, 0):
                raise FileExistsError("void")  # noqa: TRY301 - in the moment before it was locked
            # Whoever closes the folder looks for locked tickets after that.
            if not is_opened(folder, token):
                raise FileNotFoundError("not opened any more")  # noqa: TRY301 - as above
        except BaseException:
            os.close(self._file)
            raise

    def mark_sent(self) -> None:
        """Make durable that from now on the request may have left.

        Raises:
            OSError: It is not durable, so nothing may be sent.
        """
        os.pwrite(self._file, _SENT, 0)
        self.is_sent = True
        os.fsync(self._file)
        sync_folder(self._folder)

    def take_back(self) -> None:
        """Nothing left after all.

        Raises:
            OSError: It cannot be written down.
        """
        os.ftruncate(self._file, 0)
        self.is_sent = False

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._file)


def attempts(folder: str) -> list[int]:
    """Attempts that have a ticket.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    return sorted(int(found[1]) for name in os.listdir(folder) if (found := _TICKET.fullmatch(name)))  # noqa: PTH208 - as above


def look(folder: str, attempt: int) -> State:
    """What is known about an attempt; changes nothing, and ``never_sent`` may change a moment later.

    Raises:
        OSError: It cannot be read.
    """
    try:
        file = os.open(path_of(folder, attempt, "ticket"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return "never_sent"
    return _judge(file, folder, attempt, fcntl.LOCK_SH)


def settle_attempt(folder: str, attempt: int) -> State:
    """Like `look`, but what nobody has sent cannot be sent any more: it is void from now on.

    Raises:
        OSError: It cannot be read or written.
    """
    file = os.open(path_of(folder, attempt, "ticket"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return _judge(file, folder, attempt, fcntl.LOCK_EX)


def _judge(file: int, folder: str, attempt: int, lock: int) -> State:
    try:
        try:
            fcntl.flock(file, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            return "sending"
        text = os.pread(file, 4, 0)
        if text == _VOID:
            return "void"
        if os.path.exists(path_of(folder, attempt, "answer")):  # noqa: PTH110 - as above
            return "answered"
        # Anything but an empty file may have been written right before the first byte left.
        if text:
            return "lost"
        if lock == fcntl.LOCK_EX:
            os.pwrite(file, _VOID, 0)
            return "void"
        return "never_sent"
    finally:
        os.close(file)
