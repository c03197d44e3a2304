import os
import shutil
import sys
import time
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from mediagen.errors import MediaError
from mediagen.media.ffmpeg import execute_ffmpeg, find_ffmpeg, run_ffmpeg

posix_only = pytest.mark.skipif(os.name == "nt", reason="shell scripts stand in for ffmpeg")


def script(folder: Path, body: str) -> str:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_dead(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        await anyio.sleep(0.01)
    return not is_alive(pid)


@posix_only
def test_find_ffmpeg_prefers_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = script(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", "")
    assert find_ffmpeg(own) == own


@posix_only
def test_find_ffmpeg_looks_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = script(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg(None) == own


def test_find_ffmpeg_falls_back_on_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "imageio_ffmpeg" in find_ffmpeg(None)


@pytest.mark.parametrize("configured", ["/nowhere/ffmpeg", "no-such-command-anywhere"])
def test_find_ffmpeg_refuses_a_wrong_setting(configured: str) -> None:
    with pytest.raises(MediaError, match=r"MEDIAGEN_FFMPEG") as raised:
        find_ffmpeg(configured)
    assert "Install ffmpeg" in raised.value.hint


def test_find_ffmpeg_without_any_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MediaError, match=r"not found. Install ffmpeg"):
        find_ffmpeg(None)


async def test_run_ffmpeg_returns_what_it_writes(ffmpeg: str) -> None:
    arguments = ["-v", "error", "-f", "lavfi", "-i", "color=red:size=16x16", "-frames:v", "1"]
    output = await run_ffmpeg(ffmpeg, [*arguments, "-f", "image2pipe", "-c:v", "png", "pipe:1"], 20)
    assert output.startswith(b"\x89PNG")


async def test_run_ffmpeg_error_names_files_without_their_folders(ffmpeg: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret folder" / "gone.mp4"
    with pytest.raises(MediaError) as raised:
        await run_ffmpeg(ffmpeg, ["-v", "error", "-i", f"file:{secret}", "-f", "null", "-"], 20)
    assert "gone.mp4" in str(raised.value)
    assert "secret folder" not in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


@posix_only
async def test_run_ffmpeg_keeps_only_the_end_of_a_long_complaint(tmp_path: Path) -> None:
    noisy = script(
        tmp_path, "i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; echo THE END >&2; exit 3"
    )
    with pytest.raises(MediaError, match=r"status 3.*THE END$") as raised:
        await run_ffmpeg(noisy, [], 20)
    assert len(str(raised.value)) < 1200


@posix_only
async def test_run_ffmpeg_uses_no_shell_and_no_stdin(tmp_path: Path) -> None:
    echo = script(tmp_path, 'cat; printf "%s\\n" "$@"')
    output = await run_ffmpeg(echo, ["$(touch hacked)", "; ls", "a b"], 20)
    assert output.decode().splitlines()[-3:] == ["$(touch hacked)", "; ls", "a b"]


@posix_only
@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_run_ffmpeg_kills_the_whole_group(tmp_path: Path, how: str) -> None:
    pids = tmp_path / "pids"
    slow = script(tmp_path, f"sleep 60 & echo $$ $! > {pids}; wait")

    async def run() -> None:
        with pytest.raises(MediaError, match=r"took longer than 0.3 s") if how == "timeout" else anyio.CancelScope():
            await run_ffmpeg(slow, [], 0.3 if how == "timeout" else 60)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            while not (pids.exists() and pids.read_text().strip()):
                await anyio.sleep(0.01)
            if how == "cancel":
                group.cancel_scope.cancel()
    for pid in map(int, pids.read_text().split()):
        assert await until_dead(pid)


async def test_run_ffmpeg_says_when_it_cannot_start() -> None:
    with pytest.raises(MediaError, match=r"could not be started"):
        await run_ffmpeg("/nowhere/ffmpeg", [], 5)


class UnforeseenError(Exception):
    """Something that a caller's function raises."""


@posix_only
@pytest.mark.parametrize("raised", [MediaError("full", code="disk_full"), UnforeseenError("x")])
async def test_execute_ffmpeg_passes_on_what_its_reader_raises(tmp_path: Path, raised: Exception) -> None:
    async def refuse(_: bytes) -> None:
        raise raised

    pids = tmp_path / "pids"
    chatty = script(tmp_path, f"echo $$ > {pids}; echo out; echo err >&2; sleep 60")
    with anyio.fail_after(30), pytest.raises(type(raised)) as found:
        await execute_ffmpeg(chatty, [], 60, on_output=refuse)
    assert found.value is raised
    assert await until_dead(int(pids.read_text()))


@posix_only
async def test_execute_ffmpeg_cancelled_at_any_moment_leaves_no_child_and_no_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    chatty = script(tmp_path, f"echo $$ >> {pids}; while :; do echo out; echo err >&2; sleep 0.01; done")

    async def ignore(_: bytes) -> None:
        await anyio.lowlevel.checkpoint()

    for delay in range(12):
        with anyio.fail_after(30):
            with anyio.move_on_after(delay / 400) as scope:
                await execute_ffmpeg(chatty, [], 60, on_output=ignore)
            assert scope.cancelled_caught
    for pid in map(int, pids.read_text().split() if pids.exists() else []):
        assert await until_dead(pid)


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv of util-linux")
async def test_ffmpeg_ends_when_its_server_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    slow = script(tmp_path, f"echo $$ > {pids}; exec sleep 60")
    code = "import sys, anyio; from mediagen.media.ffmpeg import run_ffmpeg; anyio.run(run_ffmpeg, sys.argv[1], [], 60)"
    async with await anyio.open_process([sys.executable, "-c", code, slow]) as server:
        with anyio.fail_after(30):
            while not (pids.exists() and pids.read_text().strip()):
                await anyio.sleep(0.01)
        assert is_alive(int(pids.read_text()))
        server.kill()
        await server.wait()
    assert await until_dead(int(pids.read_text()))
