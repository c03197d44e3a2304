import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from mediagen.errors import ConfigurationError, InvalidRequestError, StorageError
from mediagen.storage import local, placing, records
from mediagen.storage.local import LocalStorage, StoredFile

STEM = "image_20261121_070707_0"
posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
not_as_root = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")


@pytest.fixture
def storage() -> LocalStorage:
    return LocalStorage()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not mount or not umount or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run([umount, str(folder)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


async def test_store_bytes_stores_them(storage: LocalStorage, tmp_path: Path) -> None:
    stored = await storage.store_bytes(b"picture", directory=tmp_path, stem=STEM, suffix=".png")
    path = tmp_path / f"{STEM}.png"
    assert stored == StoredFile(path=path, size_bytes=7, sha256=hashlib.sha256(b"picture").hexdigest())
    assert path.read_bytes() == b"picture"
    assert names(tmp_path) == [f"{STEM}.png"]


async def test_store_bytes_never_overwrites(storage: LocalStorage, tmp_path: Path) -> None:
    contents = [b"1", b"2", b"3"]
    for content in contents:
        await storage.store_bytes(content, directory=tmp_path, stem="cat", suffix=".png")
    assert [(tmp_path / name).read_bytes() for name in ("cat.png", "cat_2.png", "cat_3.png")] == contents
    assert len(names(tmp_path)) == 3


async def test_store_bytes_leaves_the_same_stem_of_others_alone(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"other")
    (tmp_path / "cat_2.json").write_bytes(b"{}")
    stored = await storage.store_bytes(b"x", directory=tmp_path, stem="cat", suffix=".png")
    assert stored.path.name == "cat_3.png"


@posix_only
async def test_store_bytes_does_not_write_through_links(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "cat.png").symlink_to(tmp_path / "elsewhere.png")
    stored = await storage.store_bytes(b"x", directory=tmp_path, stem="cat", suffix=".png")
    assert stored.path.name == "cat_2.png"
    assert not (tmp_path / "elsewhere.png").exists()


@pytest.mark.parametrize("stem", ["../up", "a/b", "..", "", "\0", "nul"])
async def test_store_bytes_of_an_odd_name_stays_in_the_folder(storage: LocalStorage, tmp_path: Path, stem: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    stored = await storage.store_bytes(b"x", directory=folder, stem=stem, suffix=".png")
    assert stored.path.parent == folder
    assert stored.path.read_bytes() == b"x"


@posix_only
@pytest.mark.parametrize("with_links", [True, False])
async def test_store_bytes_of_many_at_once_keeps_all(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_links: bool
) -> None:
    def no_link(source: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    if not with_links:
        monkeypatch.setattr(os, "link", no_link)

    async def store(number: int) -> None:
        await storage.store_bytes(str(number).encode(), directory=tmp_path, stem="cat", suffix=".png")

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(store, number)
    assert sorted(int(path.read_bytes()) for path in tmp_path.glob("cat*.png")) == list(range(40))
    assert len(names(tmp_path)) == 40


WRITER = """
import anyio, sys
from pathlib import Path
from mediagen.storage.local import LocalStorage

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(50):
        content = f"{sys.argv[2]}-{number}".encode()
        await LocalStorage().store_bytes(content, directory=Path(sys.argv[1]), stem="cat", suffix=".png")

anyio.run(main)
"""


def test_two_processes_at_once_never_take_the_same_name(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline().strip() == b"ready"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    found = {path.read_text() for path in tmp_path.glob("cat*.png")}
    assert found == {f"{name}-{number}" for name in "ab" for number in range(50)}
    assert len(names(tmp_path)) == 100


async def test_store_bytes_on_a_full_disk_says_so_and_leaves_nothing(storage: LocalStorage, tiny_disk: Path) -> None:
    with pytest.raises(StorageError) as raised:
        await storage.store_bytes(b"x" * 1_000_000, directory=tiny_disk, stem=STEM, suffix=".png")
    assert raised.value.code == "disk_full"
    assert raised.value.retryable
    assert raised.value.billed == "yes"
    assert "Free some space" in raised.value.hint
    assert names(tiny_disk) == []
    stored = await storage.store_bytes(b"x" * 1000, directory=tiny_disk, stem=STEM, suffix=".png")
    assert stored.path.name == f"{STEM}.png"


async def test_a_download_survives_a_full_disk(storage: LocalStorage, tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(b"x" * 100_000)
    part = await storage.open_part(tiny_disk, "job_1-0")
    content = os.urandom(200_000)
    with pytest.raises(StorageError) as raised:
        await part.append(content)
    assert raised.value.code == "disk_full"
    (tiny_disk / "ballast").unlink()
    again = await storage.open_part(tiny_disk, "job_1-0")
    assert 0 < again.size() < 200_000
    await again.append(content[again.size() :])
    stored = await again.finish("video", ".mp4")
    assert stored.path.read_bytes() == content
    assert names(tiny_disk) == ["video.mp4"]


LIMITED = """
import anyio, resource, sys
from pathlib import Path
from mediagen.errors import StorageError
from mediagen.storage.local import LocalStorage

resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    anyio.run(lambda: LocalStorage().store_bytes(b"x" * 90_000, directory=Path(sys.argv[1]), stem="a", suffix=".png"))
except StorageError as error:
    print(error.code)
"""


@posix_only
def test_store_bytes_above_the_limit_of_the_system_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "file_too_large", done.stderr
    assert names(tmp_path) == []


async def test_store_bytes_without_its_folder_says_so(storage: LocalStorage, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised:
        await storage.store_bytes(b"x", directory=tmp_path / "gone", stem=STEM, suffix=".png")
    assert raised.value.code == "directory_missing"
    with pytest.raises(StorageError):
        await storage.open_part(tmp_path / "gone", "job_1-0")


@posix_only
@not_as_root
async def test_store_bytes_without_permission_says_so(storage: LocalStorage, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError) as raised:
        await storage.store_bytes(b"x", directory=tmp_path, stem=STEM, suffix=".png")
    assert raised.value.code == "not_writable"


async def test_a_download_is_resumed_by_a_later_process(storage: LocalStorage, tmp_path: Path) -> None:
    first = await storage.open_part(tmp_path, "job_1-0")
    assert first.size() == 0
    await first.append(b"one ")
    await first.append(b"two ")
    later = await LocalStorage().open_part(tmp_path, "job_1-0")
    assert later.size() == 8
    await later.append(b"three")
    stored = await later.finish("video", ".mp4")
    assert stored.path.read_bytes() == b"one two three"
    assert stored.sha256 == hashlib.sha256(b"one two three").hexdigest()
    assert stored.size_bytes == 13
    assert names(tmp_path) == ["video.mp4"]


async def test_a_download_can_start_over(storage: LocalStorage, tmp_path: Path) -> None:
    part = await storage.open_part(tmp_path, "job_1-0")
    await part.truncate()
    await part.append(b"wrong")
    await part.truncate()
    assert part.size() == 0
    await part.append(b"right")
    assert (await part.finish("video", ".mp4")).path.read_bytes() == b"right"


async def test_a_download_can_be_given_up(storage: LocalStorage, tmp_path: Path) -> None:
    part = await storage.open_part(tmp_path, "job_1-0")
    await part.append(b"x")
    await part.discard()
    await part.discard()
    assert names(tmp_path) == []


async def test_finish_never_overwrites(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"other")
    part = await storage.open_part(tmp_path, "job_1-0")
    await part.append(b"mine")
    assert (await part.finish("video", ".mp4")).path.name == "video_2.mp4"
    assert (tmp_path / "video.mp4").read_bytes() == b"other"


async def test_finish_of_nothing_is_refused(storage: LocalStorage, tmp_path: Path) -> None:
    part = await storage.open_part(tmp_path, "job_1-0")
    with pytest.raises(StorageError) as raised:
        await part.finish("video", ".mp4")
    assert raised.value.code == "empty_download"
    assert names(tmp_path) == []


@posix_only
async def test_finish_that_keeps_the_part_can_be_done_again(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"other")
    part = await storage.open_part(tmp_path, "job_1-0")
    await part.append(b"mine")
    first = await part.finish("video", ".mp4", keep_part=True)
    later = await LocalStorage().open_part(tmp_path, "job_1-0")
    assert later.size() == 4
    assert await later.finish("video", ".mp4", keep_part=True) == first
    await later.discard()
    assert names(tmp_path) == ["video.mp4", "video_2.mp4"]
    assert first.path.read_bytes() == b"mine"


@posix_only
async def test_starting_over_leaves_the_finished_file_whole(storage: LocalStorage, tmp_path: Path) -> None:
    part = await storage.open_part(tmp_path, "job_1-0")
    await part.append(b"mine")
    stored = await part.finish("video", ".mp4", keep_part=True)
    await part.truncate()
    await part.append(b"ha")
    assert stored.path.read_bytes() == b"mine"


@posix_only
async def test_a_download_does_not_write_through_links(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"keep")
    (tmp_path / ".mediagen-job_1-0.part").symlink_to(tmp_path / "precious")
    part = await storage.open_part(tmp_path, "job_1-0")
    with pytest.raises(StorageError):
        await part.append(b"x")
    assert (tmp_path / "precious").read_bytes() == b"keep"


async def test_open_part_takes_only_keys(storage: LocalStorage, tmp_path: Path) -> None:
    for key in ("", "../x", "a/b", "a b"):
        with pytest.raises(ValueError, match="not a key"):
            await storage.open_part(tmp_path, key)


async def test_check_directory_creates_it(storage: LocalStorage, tmp_path: Path) -> None:
    wanted = tmp_path / "a 🎬" / "b"
    assert await storage.check_directory(wanted) == wanted.resolve()
    assert wanted.is_dir()
    assert names(wanted) == []


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name")
def test_check_directory_that_is_killed_over_its_trial_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import anyio, os, pathlib, sys\n"
        "from mediagen.storage.local import LocalStorage\n"
        "def die(event, arguments):\n"
        "    if event == 'os.remove' and str(arguments[0]).startswith(sys.argv[1]):\n"
        "        os._exit(9)\n"
        "sys.addaudithook(die)\n"
        "anyio.run(LocalStorage().check_directory, pathlib.Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert names(tmp_path) == []
    assert (done.returncode, done.stderr) == (0, "")


async def test_check_directory_refuses_what_cannot_hold_files(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    bad = [tmp_path / "file", tmp_path / "file" / "below", Path("a\0b")]
    if Path("/proc/self").exists():
        bad.append(Path("/proc/mediagen"))
    for path in bad:
        with pytest.raises(InvalidRequestError) as raised:
            await storage.check_directory(path)
        assert raised.value.field == "output_dir"
        with pytest.raises(ConfigurationError, match="MEDIAGEN_OUTPUT_DIR"):
            await storage.check_directory(path, field=None)


async def test_check_directory_refuses_a_nearly_full_disk(storage: LocalStorage, tiny_disk: Path) -> None:
    with pytest.raises(InvalidRequestError, match="50 MB are needed"):
        await storage.check_directory(tiny_disk)


async def test_what_was_found_good_is_looked_at_again_after_a_moment(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tmp_path / "a"
    asked = (wanted, "output_dir", "MEDIAGEN_OUTPUT_DIR")
    await storage.check_directories(asked)
    wanted.rmdir()
    await storage.check_directories(asked)
    assert not wanted.exists()
    monkeypatch.setattr(local, "CHECK_HOLDS_SECONDS", 0.0)
    await storage.check_directories(asked)
    assert wanted.is_dir()


async def test_what_was_found_bad_is_looked_at_again_at_once(storage: LocalStorage, tmp_path: Path) -> None:
    wanted = tmp_path / "file"
    wanted.write_bytes(b"x")
    asked = (wanted, "output_dir", "MEDIAGEN_OUTPUT_DIR")
    with pytest.raises(InvalidRequestError):
        await storage.check_directories(asked)
    wanted.unlink()
    await storage.check_directories(asked)
    assert wanted.is_dir()


async def test_write_sidecar_lies_beside_the_media(storage: LocalStorage, tmp_path: Path) -> None:
    record = {"job_id": "job_1", "ordinal": 0, "prompt": "แมว 🐱"}
    path = await storage.write_sidecar(tmp_path / f"{STEM}.png", record)
    assert path == tmp_path / f"{STEM}.json"
    assert json.loads(path.read_bytes()) == record
    assert "แมว 🐱" in path.read_text("utf-8")


@pytest.mark.parametrize(("name", "expected"), [("my v1.2", "my v1.2.json"), ("a.mp4", "a.json"), ("a/../b", "b.json")])
async def test_write_sidecar_takes_a_stem_as_well(
    storage: LocalStorage, tmp_path: Path, name: str, expected: str
) -> None:
    (tmp_path / "a").mkdir()
    assert (await storage.write_sidecar(tmp_path / name, {})).name == expected


async def test_write_sidecar_replaces_only_its_own_record(storage: LocalStorage, tmp_path: Path) -> None:
    media = tmp_path / "cat.png"
    (tmp_path / "cat.json").write_text('{"mine": "a file of the user"}')
    first = await storage.write_sidecar(media, {"job_id": "job_1", "ordinal": 0, "state": "failed"})
    other = await storage.write_sidecar(media, {"job_id": "job_1", "ordinal": 1})
    again = await storage.write_sidecar(media, {"job_id": "job_1", "ordinal": 0, "state": "succeeded"})
    assert (first.name, other.name, again.name) == ("cat_2.json", "cat_3.json", "cat_2.json")
    assert json.loads(again.read_bytes())["state"] == "succeeded"
    assert names(tmp_path) == ["cat.json", "cat_2.json", "cat_3.json"]
    assert "user" in (tmp_path / "cat.json").read_text()


async def test_write_sidecar_on_a_full_disk_leaves_the_old_record(storage: LocalStorage, tiny_disk: Path) -> None:
    path = await storage.write_sidecar(tiny_disk / "cat.png", {"job_id": "j", "ordinal": 0})
    with pytest.raises(StorageError):
        await storage.write_sidecar(tiny_disk / "cat.png", {"job_id": "j", "ordinal": 0, "x": "x" * 1_000_000})
    assert json.loads(path.read_bytes()) == {"job_id": "j", "ordinal": 0}
    assert names(tiny_disk) == ["cat.json"]


async def test_limits_are_those_of_the_documentation() -> None:
    assert local.MIN_FREE_BYTES == 50 * 1024**2


def test_record_whose_unfinished_file_another_process_takes_away_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = placing.place_record
    taken: list[Path] = []

    def placed(temporary: Path, directory: Path, stem: str) -> Path:
        if not taken:
            taken.append(temporary)
            temporary.unlink()
        return place(temporary, directory, stem)

    monkeypatch.setattr(records, "place_record", placed)
    folder = tmp_path / "made"
    folder.mkdir()
    path = records.write_sidecar(folder / "made.png", {"job_id": "job_1", "ordinal": 0})
    assert len(taken) == 1
    assert [*folder.iterdir()] == [path] == [folder / "made.json"]
