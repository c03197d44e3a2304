"""The ffmpeg executable: found, and run without a shell."""

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from mediagen.errors import MediaError

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream, Process

MAX_OUTPUT_BYTES: Final = 256 * 1024 * 1024
STDERR_TAIL_BYTES: Final = 4096
KILL_SECONDS: Final = 5.0

_FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][^/\\\s:'\"]+)*[/\\](?=[^/\\\s:'\"])")
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


async def run_ffmpeg(executable: str, arguments: Sequence[str], timeout_seconds: float) -> bytes:
    """Run ffmpeg and return what it writes to standard output (at most 256 MB).

    The process and whatever it started are killed when the time is up or the caller is cancelled.

    Raises:
        MediaError: It cannot be started, fails, writes too much or takes too long.
    """
    from subprocess import DEVNULL, PIPE

    command = [executable, "-nostdin", "-hide_banner", *arguments]
    try:
        process = await anyio.open_process(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True)
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{Path(executable).name} could not be started.", hint=_INSTALL, code="ffmpeg_missing"
        ) from error
    async with process:
        try:
            with anyio.fail_after(timeout_seconds):
                output, complaint = await _read_both(process)
                await process.wait()
        except TimeoutError as error:
            raise MediaError(f"ffmpeg took longer than {timeout_seconds:g} s.", code="ffmpeg_timeout") from error
        finally:
            await _end(process)
    if process.returncode:
        told = _without_folders(complaint.decode("utf-8", "replace"), arguments)
        raise MediaError(f"ffmpeg failed with status {process.returncode}: {told}", code="ffmpeg_failed")
    return output


async def _read_both(process: "Process") -> tuple[bytes, bytes]:
    output, complaint = bytearray(), bytearray()
    assert process.stdout is not None
    assert process.stderr is not None

    async def drain(stream: "ByteReceiveStream") -> None:
        async for chunk in stream:
            complaint.extend(chunk)
            del complaint[:-STDERR_TAIL_BYTES]

    too_much = False
    async with anyio.create_task_group() as group:
        group.start_soon(drain, process.stderr)
        async for chunk in process.stdout:
            output.extend(chunk)
            if len(output) > MAX_OUTPUT_BYTES:
                too_much = True
                group.cancel_scope.cancel()
                break
    if too_much:
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
