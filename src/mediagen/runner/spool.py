"""Paid files that came inside an answer, made durable beside the ledger before anything else is done with them."""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from mediagen.endpoints.base import OpenSink, Output, PartSink
from mediagen.errors import StorageError
from mediagen.jobs import Job, PaidCall
from mediagen.storage.local import LocalStorage, PartFile
from mediagen.storage.part import Part
from mediagen.submitter.base import Settled, is_supported

COPY_BYTES = 1_000_000
# An answer may be known before it is durable.
STORING_SECONDS = 1.0
LOOK_SECONDS = 0.01
UNBEGUN_SECONDS = 3600.0
KEPT_MISSING = "kept_answer_missing"
_RECORD_DUE = "record-due"
_FETCHED = "fetched"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spool:
    """Keeps the files of each paid call in a folder of its own until they are in their place."""

    folder: Path
    storage: LocalStorage

    async def keep(self, job: Job, call: PaidCall, data: bytes | Iterable[bytes]) -> Path:
        """Make a paid file, whole or in pieces, durable; the same file when it was done before.

        Raises:
            StorageError: It could not be written.
        """
        kept = await self.kept(job, call)
        if kept is None:
            folder = await self.call_folder(job, call)
            kept = (await self.storage.store_bytes(data, directory=folder, stem="answer", suffix=".bin")).path
        return kept

    async def owe_record(self, job: Job, call: PaidCall) -> None:
        """Note that the end of a call is to be written down beside its files; without a word when that fails."""
        await anyio.to_thread.run_sync(_touch, self.folder_of(job, call) / _RECORD_DUE)

    async def owes_record(self, job: Job, call: PaidCall) -> bool:
        """Whether that may still be to be done."""
        return await anyio.Path(self.folder_of(job, call) / _RECORD_DUE).exists()

    async def settle_record(self, job: Job, call: PaidCall) -> None:
        """Note that it is done."""
        with contextlib.suppress(OSError):
            await anyio.Path(self.folder_of(job, call) / _RECORD_DUE).unlink(missing_ok=True)

    def folder_of(self, job: Job, call: PaidCall) -> Path:
        """Folder that a call has or would have; not made by this."""
        return self.folder / _key(job, call)

    async def open_for_sending(self, job: Job, call: PaidCall, token: str) -> int:
        """Make the folder of a call that is going to be sent, so that it tells later whether that happened.

        Args:
            job: Of the call.
            call: The call.
            token: Of the right to send it.

        Returns:
            Number of the ticket under which it is to leave.

        Raises:
            StorageError: The folder cannot be written.
        """
        return await anyio.to_thread.run_sync(open_for_sending, self.folder_of(job, call), token)

    async def settled(self, job: Job, call: PaidCall) -> Settled | None:
        """What a submitter left of a call of a dead server, which nobody sends any more; None when none had it.

        Raises:
            StorageError: The folder cannot be read or written.
        """
        return await _read_by_submitter(self.folder_of(job, call), call.attempt, is_final=True)

    async def late(self, job: Job, call: PaidCall) -> Settled | None:
        """What a submitter left of a call by now; changes nothing.

        Raises:
            StorageError: The folder cannot be read.
        """
        return await _read_by_submitter(self.folder_of(job, call), call.attempt, is_final=False)

    async def call_folder(self, job: Job, call: PaidCall) -> Path:
        """Folder for what belongs to a call until it is forgotten."""
        folder = self.folder_of(job, call)
        await recreate(folder)
        return folder

    async def kept(self, job: Job, call: PaidCall) -> Path | None:
        """The paid file that was made durable for a call of one sample, if any."""
        folder = self.folder_of(job, call)
        found = await anyio.to_thread.run_sync(lambda: sorted(folder.glob("answer*.bin")))
        return found[0] if found else None

    def sinks(self, job: Job, call: PaidCall) -> OpenSink:
        """Gives empty unfinished files for what comes inside an answer."""

        async def open_sink(number: int) -> PartSink:
            part = await self._unfinished(job, call, number)
            await part.truncate()
            return part

        return open_sink

    async def keep_outputs(self, job: Job, call: PaidCall, outputs: Sequence[Output]) -> tuple[str, ...]:
        """Make the files that came inside an answer durable and say where each output is now, in their order.

        Raises:
            StorageError: One could not be written; the answer can be asked for again.
        """
        return tuple([await self._keep_output(job, call, output) for output in outputs])

    async def forget(self, job: Job, call: PaidCall) -> None:
        """Remove what was kept of a call that has ended, unless its answer may still come."""
        await anyio.to_thread.run_sync(_forget, self.folder_of(job, call))

    async def forget_unbegun(self, job_id: str, ordinal: int) -> None:
        """Remove what was made for a call that is in no ledger, unless it may have been sent or be taken in now."""
        if is_supported():
            from mediagen.submitter.recovery import remove_unbegun

            folder = self.folder / f"{job_id}-{ordinal}"
            await anyio.to_thread.run_sync(remove_unbegun, folder, UNBEGUN_SECONDS)

    async def leftovers(self) -> list[tuple[str, int]]:
        """Job id and ordinal of every call of which something is kept."""
        folders = await anyio.to_thread.run_sync(lambda: sorted(self.folder.glob("job_*-*")))
        found = [folder.name.rpartition("-") for folder in folders]
        return [(job_id, int(ordinal)) for job_id, _, ordinal in found if ordinal.isdigit()]

    async def _keep_output(self, job: Job, call: PaidCall, output: Output) -> str:
        if output.inline is None:
            return output.uri or ""
        part = await self._unfinished(job, call, output.inline)
        stem = f"answer-{output.inline}"
        # Of an earlier answer that was not written down in the ledger any more.
        await anyio.Path(part.path.with_name(f"{stem}.bin")).unlink(missing_ok=True)
        return (await part.finish(stem, ".bin")).path.as_uri()

    async def _unfinished(self, job: Job, call: PaidCall, number: int) -> PartFile:
        return await self.storage.open_part(await self.call_folder(job, call), f"inline-{number}")


def open_for_sending(folder: Path, token: str) -> int:
    """Make the folder of a call; see `Spool.open_for_sending`. Blocking."""
    if not is_supported():
        return 1
    from mediagen.submitter.recovery import next_attempt
    from mediagen.submitter.tickets import open_folder

    try:
        folder.mkdir(parents=True, exist_ok=True)
        open_folder(str(folder), token)
        return next_attempt(folder)
    except OSError as error:
        raise StorageError(
            f"The spool beside the ledger cannot be written to ({type(error).__name__}).",
            hint="Nothing was sent or billed. Make room, or the folder writable.",
            code="disk_full" if error.errno == errno.ENOSPC else None,
            billed="no",
        ) from error


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        try:
            path.touch()
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def mark(folder: Path) -> None:
    """Let `Spool.leftovers` name the call of a folder until it is forgotten by whoever holds all claims. Blocking."""
    _touch(folder / _FETCHED)


def drop(folder: Path) -> None:
    """Let `Spool.leftovers` name the call of a folder no more, unless something was kept of it again. Blocking."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def empty(folder: Path, seconds: float = 0.0) -> None:
    """Remove what was kept of the call of a folder; `Spool.leftovers` names it until `drop`. Blocking.

    Args:
        folder: Of the call.
        seconds: How long to wait for a submitter that is still making an answer durable; what it has stays otherwise.
    """
    if not folder.is_dir():
        return
    if is_supported():
        from mediagen.submitter.recovery import is_sending
        from mediagen.submitter.tickets import close_folder

        with contextlib.suppress(OSError):
            close_folder(str(folder))
        until = time.monotonic() + seconds
        while is_sending(folder):
            if time.monotonic() >= until:
                return
            time.sleep(LOOK_SECONDS)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _forget(folder: Path) -> None:
    empty(folder, STORING_SECONDS)
    drop(folder)


async def _read_by_submitter(folder: Path, token: str | None, *, is_final: bool) -> Settled | None:
    if not is_supported():
        return None
    try:
        return await anyio.to_thread.run_sync(_settled if is_final else _looked_at, folder, token or "")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"The folder {folder}, where the answer to a paid request may be, cannot be used ({type(error).__name__}).",
            hint="Make it readable and writable; `mediagen jobs resume` then goes on.",
            billed="unknown",
        ) from error


def _settled(folder: Path, token: str) -> Settled:
    from mediagen.submitter.recovery import settle_call
    from mediagen.submitter.tickets import retire

    # Before the tickets are looked at: who was stopped between two tries must not go on with the next one.
    retire(str(folder), token)
    return settle_call(folder, token)


def _looked_at(folder: Path, token: str) -> Settled:
    from mediagen.submitter.recovery import look_at_call

    return look_at_call(folder, token)


def copy_kept(answer: Path, part: Part) -> None:
    """Bring a kept paid file into its own folder, unless an earlier attempt did. Blocking.

    Raises:
        StorageError: It cannot be read or written.
    """
    try:
        with answer.open("rb") as file:
            if part.size() == os.fstat(file.fileno()).st_size:
                return
            part.truncate()
            while chunk := file.read(COPY_BYTES):
                part.append(chunk)
    except OSError as error:
        raise StorageError(
            f"The paid file that was kept in {answer} cannot be read.",
            hint="Restore it or its folder; `mediagen jobs resume` then goes on.",
            code=KEPT_MISSING if isinstance(error, FileNotFoundError) else None,
        ) from error


async def recreate(folder: Path) -> None:
    """Make a folder again that disappeared meanwhile; whoever writes there says why, if that fails."""
    with contextlib.suppress(OSError):
        await anyio.Path(folder).mkdir(parents=True, exist_ok=True)


def _key(job: Job, call: PaidCall) -> str:
    return f"{job.job_id}-{call.ordinal}"
