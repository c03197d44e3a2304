"""The ffmpeg executable: found, and run without a shell."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Final

import anyio

from mediagen.errors import MediaError

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream, Process

MAX_OUTPUT_BYTES: Final = 256 * 1024 * 1024
STDERR_TAIL_BYTES: Final = 4096
KILL_SECONDS: Final = 5.0
MAX_FILE_BYTES: Final = 2 * 1024**3
MAX_MEMORY_BYTES: Final = 8 * 1024**3
MAX_THREADS: Final = min(os.cpu_count() or 1, 8)

_FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][^/\\\s:'\"]+)*[/\\](?=[^/\\\s:'\"])")
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")
_MISSING = re.compile(r"Unknown (?:encoder|decoder) '([\w-]{1,40})'|No such filter: '([\w-]{1,40})'")
_NOISE = re.compile(
    r"Conversion failed!|Last message repeated|frame=|size=|video:|Exiting normally|.*Terminating thread"
)
_INSTALL = (
    "Install ffmpeg (apt install ffmpeg, brew install ffmpeg, winget install ffmpeg) or the Python package "
    "imageio-ffmpeg, or set MEDIAGEN_FFMPEG to the executable."
)


def find_ffmpeg(configured: str | None) -> str:
    """Find the executable: the setting, then the PATH, then the package imageio-ffmpeg.

    Raises:
        MediaError: The setting names no executable, or there is none; says what to install.
    """
    if configured:
        found = shutil.which(str(Path(configured).expanduser()))
        if found:
            return found
        raise MediaError(
            f"MEDIAGEN_FFMPEG is {configured!r}, which is not an executable.", hint=_INSTALL, code="ffmpeg_missing"
        )
    on_path = shutil.which("ffmpeg")
    if on_path:
        return on_path
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise MediaError("ffmpeg was not found.", hint=_INSTALL, code="ffmpeg_missing") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class FfmpegRun:
    """What a run wrote to standard output and, the end of it, to standard error."""

    output: bytes
    complaint: str


OnOutput = Callable[[bytes], Awaitable[None]]


async def run_ffmpeg(executable: str, arguments: Sequence[str], timeout_seconds: float) -> bytes:
    """Run ffmpeg and return what it writes to standard output (at most 256 MB).

    Raises:
        MediaError: As `execute_ffmpeg`.
    """
    return (await execute_ffmpeg(executable, arguments, timeout_seconds)).output


async def execute_ffmpeg(
    executable: str,
    arguments: Sequence[str],
    timeout_seconds: float,
    *,
    on_output: OnOutput | None = None,
    complaint_bytes: int = STDERR_TAIL_BYTES,
) -> FfmpegRun:
    """Run ffmpeg to its end, with limits on time, processor time, memory and the size of what it writes.

    It and whatever it started are killed when the time is up or the caller is cancelled; on Linux, too, when we die.

    Args:
        executable: Found by `find_ffmpeg`.
        arguments: Without a shell, each as it is.
        timeout_seconds: Longest run.
        on_output: Receives standard output piece by piece, which is then not collected.
        complaint_bytes: How much of the end of standard error is kept.

    Raises:
        MediaError: It cannot be started, fails, writes too much or takes too long. Codes: ``ffmpeg_missing``,
            ``ffmpeg_failed``, ``ffmpeg_timeout``, ``disk_full``.
    """
    process = await _start(executable, arguments)
    async with process:
        try:
            _limit(process.pid, timeout_seconds)
            with anyio.fail_after(timeout_seconds):
                output, complaint = await _read_both(process, on_output, complaint_bytes)
                await process.wait()
        except BaseExceptionGroup as several:
            raise _first_of(several) from None  # callers ask for a code, which a group has not
        except TimeoutError as error:
            raise MediaError(f"ffmpeg took longer than {timeout_seconds:g} s.", code="ffmpeg_timeout") from error
        finally:
            await _end(process)
    told = complaint.decode("utf-8", "replace")
    if process.returncode:
        raise _failure(process.returncode, told, arguments)
    return FfmpegRun(output=output, complaint=told)


async def _start(executable: str, arguments: Sequence[str]) -> "Process":
    found = await anyio.to_thread.run_sync(shutil.which, executable)
    if found is None:
        raise _no_start(executable)
    command = [*await anyio.to_thread.run_sync(_leash), found, "-nostdin", "-hide_banner", *arguments]
    try:
        # A start that is cancelled half-way would leave a child that nobody ends.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True)
    except (OSError, ValueError) as error:
        raise _no_start(executable) from error
    return process


def _no_start(executable: str) -> MediaError:
    return MediaError(f"{Path(executable).name} could not be started.", hint=_INSTALL, code="ffmpeg_missing")


@cache
def _leash() -> tuple[str, ...]:
    """Words before the command that end it with this process, even one that is killed; none where there are none.

    `setpriv` asks the kernel for that and becomes the command. A preexec_fn could ask, too, but may hang among threads.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return ()
    leash = (setpriv, "--pdeathsig", "KILL")
    try:  # that of BusyBox does not know the option
        subprocess.run([*leash, "true"], check=True, stdin=DEVNULL, capture_output=True, timeout=5)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return ()
    return leash


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first_of(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _limit(pid: int, timeout_seconds: float) -> None:
    """Set limits on a child that runs already: unlike a preexec_fn this is safe among threads. Linux only."""
    if sys.platform != "linux":
        return
    import resource

    cpu_seconds = int(timeout_seconds * MAX_THREADS) + 1
    limits = (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    )
    with contextlib.suppress(OSError):  # when memory runs out, the child goes and not the server
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")
    for kind, most in limits:
        with contextlib.suppress(OSError, ValueError):  # it may have ended, or be under tighter limits already
            resource.prlimit(pid, kind, (most, most))


def _failure(status: int, told: str, arguments: Sequence[str]) -> MediaError:
    if "No space left on device" in told or "Disk quota exceeded" in told:
        return MediaError(
            "The disk is full: ffmpeg could not write its result.", hint="Free some space.", code="disk_full"
        )
    if status == -getattr(signal, "SIGXFSZ", 0) or "File too large" in told:
        return MediaError(f"The result is larger than {MAX_FILE_BYTES // 1024**3} GB.", code="ffmpeg_failed")
    if "Cannot allocate memory" in told:
        return MediaError(f"ffmpeg needs more than {MAX_MEMORY_BYTES // 1024**3} GB of memory.", code="ffmpeg_failed")
    missing = _MISSING.search(told)
    hint = f"This ffmpeg lacks {missing[1] or missing[2]}; {_INSTALL[0].lower()}{_INSTALL[1:]}" if missing else ""
    useful = _without_folders("\n".join(_useful_lines(told)), arguments)
    return MediaError(f"ffmpeg failed with status {status}: {useful}", hint=hint, code="ffmpeg_failed")


def _useful_lines(told: str) -> list[str]:
    lines = [_ADDRESS.sub("", line).strip() for line in told.splitlines()]
    return [line for line in lines if line and not _NOISE.match(line)][-3:]


async def _read_both(process: "Process", on_output: OnOutput | None, complaint_bytes: int) -> tuple[bytes, bytes]:
    output, complaint = bytearray(), bytearray()
    assert process.stdout is not None
    assert process.stderr is not None

    async def drain(stream: "ByteReceiveStream") -> None:
        async for chunk in stream:
            complaint.extend(chunk)
            del complaint[:-complaint_bytes]

    async with anyio.create_task_group() as group:
        group.start_soon(drain, process.stderr)
        async for chunk in process.stdout:
            if on_output:
                await on_output(chunk)
                continue
            output.extend(chunk)
            if len(output) > MAX_OUTPUT_BYTES:
                raise MediaError(f"ffmpeg wrote more than {MAX_OUTPUT_BYTES // 1024**2} MB.", code="ffmpeg_failed")
    return bytes(output), bytes(complaint)


async def _end(process: "Process") -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            # Its own session, so the group holds ffmpeg and its children and nothing of ours.
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with anyio.move_on_after(KILL_SECONDS, shield=True):
        await process.wait()


def _without_folders(text: str, arguments: Sequence[str]) -> str:
    for argument in sorted(arguments, key=len, reverse=True):
        path = argument.removeprefix("file:")
        if os.sep in path:
            text = text.replace(path, Path(path).name)
    return " ".join(_FOLDERS.sub("", text).split())[-1000:]
