"""Records inside the files that are stored: there in every file that is not signed, and never at its cost."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.media.metadata.samples import film, pixels, signed, still
from tests.runner.asking import clip, image
from tests.runner.crashing import collector_in, die_at_each_instant, go_on, job_of, prepare
from tests.stored import sha256_as_made

from mediagen.app.app import open_app
from mediagen.media.metadata import embed_record, read_record
from mediagen.report.sidecar import embedded_record

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="processes are forked")


async def stored(folder: Path, data: bytes, **changes: object):
    collector = collector_in(folder)
    job = job_of(folder, **changes)
    await prepare(collector, job, data)
    return await go_on(collector)


async def test_picture_and_clip_carry_their_record_and_the_sidecar_their_digest(make_settings, work: Path):
    async with open_app(make_settings()) as app:
        reports = [await image(app), await clip(app)]
    for report in reports:
        path = report.artifacts[0].file
        record, beside = read_record(path), json.loads(path.with_suffix(".json").read_text())
        assert record is not None
        assert (record["job_id"], record["prompt"], record["status"]) == (report.job_id, beside["prompt"], "SUCCESS")
        assert record["generation"]["mode"] == report.mode
        assert not {"output", "charge"} & set(record)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert report.artifacts[0].sha256 == beside["output"]["sha256"] == digest
        assert report.artifacts[0].size_bytes == beside["output"]["file_size_bytes"] == path.stat().st_size
        assert report.warnings == []


@pytest.mark.parametrize("kind", ["png", "jpeg", "lossy.webp"])
async def test_pixels_of_a_picture_are_untouched_by_its_record(tmp_path: Path, kind: str):
    data = still(kind)
    (tmp_path / "given").write_bytes(data)
    job = await stored(tmp_path, data)
    path = Path(job.artifacts[0].path)
    assert (read_record(path) or {})["job_id"] == "job_1"
    assert pixels(path) == pixels(tmp_path / "given")


@pytest.mark.parametrize("kind", ["png", "jpeg", "lossy.webp", "faststart.mp4"])
async def test_signed_file_is_stored_byte_for_byte(tmp_path: Path, kind: str):
    if kind.endswith("mp4"):
        film(kind, tmp_path / "given.mp4")
        data = signed((tmp_path / "given.mp4").read_bytes())
    else:
        data = signed(still(kind))
    job = await stored(tmp_path, data)
    assert Path(job.artifacts[0].path).read_bytes() == data
    assert job.artifacts[0].sha256 == hashlib.sha256(data).hexdigest()
    assert not [warning for warning in job.calls[0].warnings if "record" in warning]
    assert json.loads(Path(job.artifacts[0].path).with_suffix(".json").read_text())["status"] == "SUCCESS"


@pytest.mark.parametrize("data", [b"something else entirely", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR broken"])
async def test_file_that_cannot_be_read_is_stored_under_a_name_that_says_so(tmp_path: Path, data: bytes):
    job = await stored(tmp_path, data)
    path = Path(job.artifacts[0].path)
    assert path.stem == "made_damaged"
    assert path.read_bytes() == data
    assert any("kept as it came, because it was paid for" in warning for warning in job.calls[0].warnings)
    assert {file.name for file in path.parent.iterdir()} == {"made_damaged.json", path.name}


async def test_same_job_makes_the_same_file_again(tmp_path: Path):
    first, second = [await stored(tmp_path / name, still("png")) for name in ("one", "two")]
    paths = [Path(job.artifacts[0].path) for job in (first, second)]
    # The folder is part of neither the record nor the picture.
    assert paths[0].read_bytes() == paths[1].read_bytes()


async def test_part_that_has_a_record_already_gets_no_second_one(tmp_path: Path):
    """As after a crash between the record and the final name."""
    collector, job = collector_in(tmp_path), job_of(tmp_path)
    await prepare(collector, job, still("png"))
    job = await collector.ledger.get("job_1")
    sealed = Path(job.output_dir) / ".mediagen-job_1-0.whole"
    sealed.write_bytes(still("png"))
    assert embed_record(sealed, embedded_record(job, 0))
    before = sealed.read_bytes()
    done = await go_on(collector)
    assert Path(done.artifacts[0].path).read_bytes() == before
    assert sha256_as_made(done.artifacts[0].path) == hashlib.sha256(still("png")).hexdigest()


async def test_file_that_has_its_name_is_not_changed_any_more(tmp_path: Path):
    """As left by an earlier version that died before the ledger: both names are one file, without a record."""
    collector, job = collector_in(tmp_path), job_of(tmp_path)
    await prepare(collector, job, still("png"))
    folder = Path(job.output_dir)
    (folder / "made.png").write_bytes(still("png"))
    (folder / ".mediagen-job_1-0.whole").hardlink_to(folder / "made.png")
    inode = (folder / "made.png").stat().st_ino
    done = await go_on(collector)
    assert done.artifacts[0].path == str(folder / "made.png")
    assert (folder / "made.png").stat().st_ino == inode
    assert (folder / "made.png").read_bytes() == still("png")
    assert sorted(path.name for path in folder.iterdir()) == ["made.json", "made.png"]


async def test_secrets_of_addresses_are_not_in_the_record(tmp_path: Path):
    job = job_of(tmp_path, kind="video")
    call = job.calls[0]
    call = replace(call, remote_uris=("https://x.example/f?X-Goog-Signature=abc",))
    record = json.dumps(embedded_record(replace(job, calls=(call,)), 0))
    assert "X-Goog-Signature" not in record


@pytest.mark.parametrize("end", ["", "delivered"])
def test_killed_at_any_instant_a_picture_is_stored_once_with_its_record(tmp_path: Path, end: str):
    data = still("png")
    (tmp_path / "paid").write_bytes(data)
    found = die_at_each_instant(tmp_path / "runs", tmp_path / "paid", end=end)
    assert len(found) > 8
    for each in found:
        assert each["status"] == "succeeded", each
        assert each["files"] == ["made.json", "made.png"], each
        assert each["spool"] == [], each
        assert each["warnings"] == [], each
        [[path, sha256]] = each["artifacts"]
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256, each
        assert sha256_as_made(path) == hashlib.sha256(data).hexdigest(), each
    assert len({each["artifacts"][0][1] for each in found}) == 1


@pytest.mark.parametrize("end", ["", "delivered"])
@pytest.mark.parametrize("stem", ["made", "made_damaged"])
def test_killed_at_any_instant_a_signed_or_damaged_picture_is_stored_once_as_it_came(
    tmp_path: Path, stem: str, end: str
):
    data = signed(still("jpeg")) if stem == "made" else still("jpeg")[:-800]
    (tmp_path / "paid").write_bytes(data)
    found = die_at_each_instant(tmp_path / "runs", tmp_path / "paid", end=end)
    assert len(found) > 8
    for each in found:
        assert each["status"] == "succeeded", each
        assert each["files"] == [f"{stem}.jpg", f"{stem}.json"], each
        assert each["spool"] == [], each
        [[path, sha256]] = each["artifacts"]
        assert sha256 == hashlib.sha256(data).hexdigest(), each
        assert Path(path).read_bytes() == data, each


def test_full_disk_costs_the_record_and_not_the_picture(tmp_path: Path):
    """A limit on the size of files stands in for the disk: the picture just fits, its record does not."""
    data = still("png")
    (tmp_path / "paid").write_bytes(data)
    program = (
        "import resource, signal, sys, anyio, pathlib\n"
        "from tests.runner.crashing import *\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "async def main():\n"
        "    collector = collector_in(folder)\n"
        "    await prepare(collector, job_of(folder), (folder / 'paid').read_bytes())\n"
        "    job = await collector.ledger.get('job_1')\n"
        "    part = await collector.placer().part(job, job.calls[0], 0)\n"
        "    await part.append((folder / 'paid').read_bytes())\n"
        "    await part.seal()\n"
        f"    resource.setrlimit(resource.RLIMIT_FSIZE, ({len(data) + 500}, resource.RLIM_INFINITY))\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    placed = await collector.placer().place(job, job.calls[0], 0, part)\n"
        "    print(placed.stored.path.read_bytes() == (folder / 'paid').read_bytes(), placed.warnings)\n"
        "    print([path.name for path in placed.stored.path.parent.glob('.mediagen-*')])\n"
        "anyio.run(main)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("True")
    assert "not_writable" in first
    assert second == "['.mediagen-job_1-0.whole']"


async def test_large_clip_gets_its_record_in_little_memory(tmp_path: Path):
    film("faststart.mp4", tmp_path / "small.mp4")
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.write((tmp_path / "small.mp4").read_bytes())
        file.write((200_000_008).to_bytes(4, "big") + b"free")
        file.truncate(file.tell() + 200_000_000)
    program = (
        "import resource, sys, pathlib\n"
        "from mediagen.media.metadata.putting import put_record\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert put_record(path, {'prompt': 'x'}) == ''\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(large)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 30_000
    assert read_record(large) == {"prompt": "x"}


def test_unfinished_file_of_a_dead_process_is_replaced(tmp_path: Path):
    path, left = tmp_path / "x.png", tmp_path / ".left"
    path.write_bytes(still("png"))
    left.write_bytes(b"half of it")
    assert embed_record(path, {"prompt": "x"}, temporary=left)
    assert not left.exists()
    with Image.open(path) as picture:
        picture.load()
