"""The hardest instants of a job on Vertex AI, with real processes: kill -9, a full disk, a large answer."""

import base64
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.conftest import of_child, paid
from tests.runner.asking import left_behind
from tests.stored import sha256_as_made

from mediagen.ledger.engines.sqlite import journal_mode

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and limits")

# Kills its own process before the n-th thing of a kind that it does with a file whose name fits.
DIE_BEFORE = """
import os, re, signal, sys
event, pattern, number = sys.argv[1], re.compile(sys.argv[2]), int(sys.argv[3])
seen = 0
def watch(happening, arguments):
    global seen
    paths = [os.fsdecode(each) for each in arguments if isinstance(each, (str, bytes, os.PathLike))]
    if happening == event and any(map(pattern.search, paths)):
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
if event:
    sys.addaudithook(watch)
sys.argv = ["mediagen", *sys.argv[4:]]
from mediagen.cli import main
main()
"""
NEVER = ("", "x", "1")
RESUME = ("jobs", "resume", "--json")
CLIP = ("video", "waves", "--model", "veo-3.1-fast", "--duration-seconds", "4", "--resolution", "720p", "--json")
Instant = tuple[str, str, str]

Run = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def run(environment: dict[str, str], vertex_variables: dict[str, str], work: Path) -> Iterator[Run]:
    started: list[subprocess.Popen[bytes]] = []
    variables = of_child(environment | vertex_variables)

    def start(instant: Instant, *arguments: str, **more: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-c", DIE_BEFORE, *instant, *arguments],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,  # type: ignore[call-overload]  # the options of a test
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def killed(process: "subprocess.Popen[bytes]") -> None:
    output = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, output


def finished(process: "subprocess.Popen[bytes]") -> dict[str, object]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    return dict(json.loads(output))


def check_delivered(emulator, work: Path, run: Run, *, files: int) -> list[dict[str, object]]:
    job = json.loads(run(NEVER, "jobs", "list", "--json").communicate(timeout=60)[0])["jobs"][0]
    clips = sorted(work.glob("*.mp4"))
    records = [json.loads(path.with_suffix(".json").read_text()) for path in clips]
    assert job["status"] == "succeeded", job
    assert paid(emulator) == 1
    assert [artifact["path"] for artifact in job["artifacts"]] == [str(path) for path in clips]
    assert len(clips) == len(list(work.glob("*.json"))) == files
    assert [record["output"]["artifact_id"] for record in records] == [
        artifact["artifact_id"] for artifact in job["artifacts"]
    ]
    served = {file["sha256"] for file in emulator.files()}
    assert {sha256_as_made(artifact["path"]) for artifact in job["artifacts"]} <= served
    return list(job["artifacts"])


def test_job_killed_at_every_step_of_an_inline_answer_is_delivered_once(
    run: Run, emulator, work: Path, ledger_file: Path
):
    killed(run(("open", r"inline-1\.part$", "1"), *CLIP, "--count", "3"))
    for instant in (
        ("os.link", r"answer-1\.bin$", "1"),
        ("os.rename", r"-1\.whole$", "1"),
        ("os.link", r"_0\.mp4$", "1"),
        ("os.link", r"_1\.mp4$", "1"),
        ("os.link", r"_0\.json$", "1"),
        ("os.link", r"_1\.json$", "1"),
    ):
        killed(run(instant, *RESUME))
    # By two at once: one of them takes the job over.
    for process in [run(NEVER, *RESUME), run(NEVER, *RESUME)]:
        finished(process)
    check_delivered(emulator, work, run, files=3)
    assert left_behind(work, ledger_file) == []


def clear_away(run: Run, work: Path, ledger_file: Path) -> None:
    server = run(NEVER, "serve", stdin=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while left_behind(work, ledger_file):
        assert server.poll() is None, server.communicate()
        assert time.monotonic() < deadline, left_behind(work, ledger_file)
        time.sleep(0.02)


def test_job_killed_while_fetched_from_and_copied_to_buckets_is_delivered_once(
    run: Run, emulator, work: Path, ledger_file: Path
):
    emulator.make_bucket("film-bucket")
    emulator.add_fault(fault="cut_download", after_bytes=50_000, match={"path_contains": "storage/v1"})
    buckets = ("--storage-uri", "gs://film-bucket/made 🎬", "--upload-to", "gs://film-bucket/copies 🎬")
    killed(run(("open", r"-0\.part$", "2"), *CLIP, *buckets))
    assert [path.stat().st_size for path in work.glob(".mediagen-*.part")] == [50_000]
    for instant in (
        ("os.rename", r"-0\.whole$", "1"),
        ("open", r"_0\.mp4$", "2"),
        ("os.link", r"_0\.json$", "1"),
        ("os.remove", r"-0\.whole$", "1"),
    ):
        killed(run(instant, *RESUME))
    # The call has ended by now; the next server clears away what is left.
    assert left_behind(work, ledger_file)
    (artifact,) = check_delivered(emulator, work, run, files=1)
    objects = sorted(str(stored["name"]) for stored in emulator.objects("film-bucket"))
    assert len(objects) == 2
    assert artifact["gcs_uri"] == f"gs://film-bucket/{objects[0]}"
    assert objects[0] == f"copies 🎬/{Path(str(artifact['path'])).name}"
    clear_away(run, work, ledger_file)


@pytest.mark.skipif(
    journal_mode(sqlite3.sqlite_version_info) == "wal", reason="the log of the ledger is larger than the answer"
)
def test_inline_answer_that_does_not_fit_on_the_disk_is_taken_once_there_is_space(
    run: Run, emulator, work: Path, ledger_file: Path
):
    """A limit on the size of files stands in for a full disk; it is lifted while the process waits."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    enough_for_the_ledger = 150_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (enough_for_the_ledger, hard))

    process = run(NEVER, *CLIP, "--count", "2", preexec_fn=limit)
    deadline = time.monotonic() + 60
    spool = ledger_file.parent / "spool"
    while not any(path.stat().st_size == enough_for_the_ledger for path in spool.rglob("*.part")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.05)
    assert process.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert finished(process)["status"] == "succeeded"
    check_delivered(emulator, work, run, files=2)
    assert left_behind(work, ledger_file) == []


MEASURE = """
import anyio, resource, sys
from pathlib import Path
from types import SimpleNamespace
from pydantic import SecretStr
from mediagen.credentials.credential import Credential
from mediagen.credentials.signing import sign_with
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.runner.spool import Spool
from mediagen.storage.local import LocalStorage

OPERATION = "projects/p/locations/l/publishers/google/models/veo/operations/{}"
job, call = SimpleNamespace(job_id="job_1"), SimpleNamespace(ordinal=0)

def peak():
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value if sys.platform == "darwin" else value * 1024

async def main():
    url, folder = sys.argv[1], Path(sys.argv[2])
    spool = Spool(folder=folder, storage=LocalStorage())
    token = Credential(kind="access_token", source="test", secret=SecretStr("ya29.ready"))
    base_url = f"{url}/v1beta1/projects/p/locations/l"
    vertex = VertexAi(auth=sign_with(token, url), key_source="test", base_url=base_url)
    async def take(name):
        polled = await vertex.poll(OPERATION.format(name), spool.sinks(job, call))
        return await spool.keep_outputs(job, call, polled.outputs)
    await take("small")
    before = peak()
    uris = await take("large")
    print(peak() - before, *uris, sep="\\n")
    await vertex.aclose()

anyio.run(main)
"""
BLOCK = base64.b64encode(bytes(range(256)) * 3 * 256)
LARGE_BLOCKS = 600


class _Answer(BaseHTTPRequestHandler):
    """Answers a poll with two clips, large enough to be noticed, without a length."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        blocks = LARGE_BLOCKS if b"large" in asked else 4
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"name": "x", "done": true, "response": {"videos": [')
        for number in range(2):
            self.wfile.write(b', {"bytesBase64Encoded": "' if number else b'{"bytesBase64Encoded": "')
            for _ in range(blocks // 2):
                self.wfile.write(BLOCK)
            self.wfile.write(b'", "mimeType": "video/mp4"}')
        self.wfile.write(b"]}}")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def large_answers() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_large_inline_answer_is_never_held_in_memory(tmp_path: Path):
    with large_answers() as url:
        measured = subprocess.run(
            [sys.executable, "-c", MEASURE, url, str(tmp_path / "spool")], capture_output=True, text=True, timeout=60
        )
    assert measured.returncode == 0, measured.stderr
    grown, *uris = measured.stdout.split()
    sizes = [path.stat().st_size for path in (tmp_path / "spool").rglob("*.bin")]
    assert sizes == [LARGE_BLOCKS // 2 * len(BLOCK) * 3 // 4] * 2
    assert len(uris) == 2
    assert sum(sizes) > 110_000_000
    assert int(grown) < 16 * 1024**2
