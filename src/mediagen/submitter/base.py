"""What is handed to a submitter and what comes back."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from mediagen.errors import SubmissionUnconfirmedError
from mediagen.submitter.frames import CHUNK_BYTES

_CLOSED = "the connection was closed"
_LATE = "it took too long"
_IN_WORDS = {
    "RemoteDisconnected": _CLOSED,
    "ConnectionResetError": _CLOSED,
    "ConnectionAbortedError": _CLOSED,
    "BrokenPipeError": _CLOSED,
    "RemoteProtocolError": _CLOSED,
    "ReadError": _CLOSED,
    "WriteError": _CLOSED,
    "IncompleteRead": "it was cut off",
    "TimeoutError": _LATE,
    "ReadTimeout": _LATE,
    "WriteTimeout": _LATE,
}
SettledState = Literal["answered", "sending", "lost", "never_sent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long is waited, in seconds; the same values as for a call of the server itself."""

    connect_seconds: float = 10.0
    write_seconds: float = 120.0
    read_seconds: float = 300.0
    total_seconds: float = 900.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedRequest:
    """A paid request, ready to leave.

    Attributes:
        headers: With the key or token; never written to a disk, and not part of the text of this object.
        folder: Folder of the paid call in the spool, where its answer goes.
        ticket: Number of the ticket under which it leaves, which no other request may have.
        token: Of the right to send the call, if the folder was opened for one.
        answer_limit: Largest successful answer that is stored, in bytes.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    folder: Path
    ticket: int = 1
    token: str = ""
    method: str = "POST"
    patience: Patience = field(default_factory=Patience)
    answer_limit: int = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer that is on the disk.

    Attributes:
        headers: Names in lower case.
        path: Where it is, or will be once it is durable.
        offset: Where in the file the body begins.
        end: ``cut`` when the connection broke before the end, ``too_large`` when the rest was not taken.
        unfinished: Where it is until then, if it is not durable yet.
        told: The body, if that is small enough to have been told at once.
    """

    status_code: int
    headers: Mapping[str, str]
    path: Path
    offset: int
    size_bytes: int
    end: Literal["whole", "cut", "too_large"] = "whole"
    unfinished: Path | None = field(default=None, compare=False)
    told: bytes = field(default=b"", repr=False, compare=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status_code in range(200, 300)

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces. Blocking.

        Raises:
            OSError: It cannot be read.
        """
        if self.told:
            yield self.told
            return
        with self._open() as file:
            file.seek(self.offset)
            left = self.size_bytes
            while left and (chunk := file.read(min(left, CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk

    def _open(self) -> BinaryIO:
        if self.unfinished:
            with suppress(FileNotFoundError):
                return self.unfinished.open("rb")
        return self.path.open("rb")

    def body(self) -> bytes:
        """The body, taken into memory. Blocking.

        Raises:
            OSError: It cannot be read.
        """
        return b"".join(self.chunks())


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What became of a paid call whose server is gone.

    Attributes:
        folder: Folder of the paid call.
        state: ``answered``; ``sending`` while a submitter lives that waits for the answer, so look again later;
            ``lost`` when it was sent and nobody waits any more; ``never_sent`` when nothing can be billed.
        answer: What Google said, a refusal too, when it is ``answered``.
    """

    folder: Path
    state: SettledState
    answer: Answer | None = None


def in_words(why: str) -> str:
    """Say for people why an answer was not seen; what is no name of an exception that we know stays as it is."""
    return _IN_WORDS.get(why, why)


def unconfirmed(why: str) -> SubmissionUnconfirmedError:
    """Make our error of a request that was sent and whose answer was not seen; `why` as for `in_words`."""
    return SubmissionUnconfirmedError(f"The paid request was sent, but its answer was not seen ({in_words(why)}).")


def is_supported() -> bool:
    """Whether this platform has what the other modules of this room import; import them only then."""
    # A packaged program has no interpreter to start.
    return os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)


def available(spool_folder: Path) -> bool:
    """Whether requests can be handed to a process of their own; if not, the server sends them itself. Blocking.

    Args:
        spool_folder: An existing folder that must know locks; some network disks do not.
    """
    if not is_supported():
        return False
    try:
        import fcntl

        with tempfile.TemporaryFile(dir=spool_folder) as probe:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


class Submitter(Protocol):
    """Sends paid requests and makes their answers durable."""

    async def takes(self, url: str, folder: Path) -> bool:
        """Whether requests to an address can be sent for a paid call; from then on its folder says what has left.

        Raises:
            StorageError: The folder cannot be written; nothing was sent.
        """
        ...

    async def send(self, request: SignedRequest) -> Answer:
        """Send a request once and return its stored answer, of any status and however it ended. Costs money.

        Raises:
            UnavailableError: Nothing was sent.
            StorageError: Nothing was sent, because its answer could not have been kept.
            SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown.
        """
        ...
