"""What comes of a request, told exactly as endpoints/paid.py needs it."""

import os
import resource
import signal
import socket
import sys
from pathlib import Path

import anyio
import pytest
from tests.submitter.conftest import (
    BODY,
    DEADLINE,
    KEY,
    Behave,
    Google,
    Handler,
    Spool,
    pytestmark,
    state_of,
    until_async,
)

from mediagen.errors import (
    ConfigurationError,
    MediaGenError,
    StorageError,
    SubmissionUnconfirmedError,
    UnavailableError,
)
from mediagen.submitter.base import Answer, Patience, SignedRequest, available
from mediagen.submitter.recovery import leave_unwatched, look_at_call, settle_call
from mediagen.submitter.submitter import DetachedSubmitter
from mediagen.submitter.tickets import close_folder, open_folder

__all__ = ["pytestmark"]

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are set on Linux only")
MEBIBYTE = 1024 * 1024
CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def process_of(submitter: DetachedSubmitter) -> int:
    assert await submitter.ready()
    # Signals to 0 would go to the tests themselves.
    assert submitter.process_id
    return submitter.process_id


async def outcome(request: SignedRequest) -> Answer | MediaGenError:
    async with DetachedSubmitter() as submitter:
        with anyio.fail_after(DEADLINE):
            try:
                return await submitter.send(request)
            except MediaGenError as error:
                return error


async def answered(google: Google, spool: Spool, status: int, headers: list[tuple[str, str]]) -> Answer:
    """What comes back of an answer without anything in it."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in [*headers, ("content-length", "2")]:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"{}")

    google.behave = behave
    answer = await outcome(spool.request(google.url))
    assert isinstance(answer, Answer)
    return answer


async def test_request_arrives_as_it_was_signed_and_its_answer_is_on_the_disk(google: Google, spool: Spool) -> None:
    answer = await outcome(spool.request(google.url))
    assert isinstance(answer, Answer)
    assert (answer.status_code, answer.body(), answer.size_bytes) == (200, BODY, len(BODY))
    assert google.targets == ["/v1/models/veo:predict?alt=json"]
    while not answer.path.exists():
        await anyio.sleep(0.01)
    sent = google.headers[0]
    assert sent["x-goog-api-key"] == KEY
    assert sent["host"] == google.url.split("/")[2]
    assert sent["connection"] == "close"
    assert settle_call(answer.path.parent).answer == answer
    assert answer.path.stat().st_mode & 0o077 == 0


async def test_key_is_in_no_file_argument_or_variable_even_when_google_quotes_it(google: Google, spool: Spool) -> None:
    google.behave = lambda handler: handler.answer(f'{{"error": "bad key {KEY}"}}'.encode(), status=400)
    async with DetachedSubmitter() as submitter:
        answer = await submitter.send(spool.request(google.url))
        assert answer.status_code == 400
        assert KEY not in repr(spool.request(google.url))
        if sys.platform == "linux":
            process = Path(f"/proc/{submitter.process_id}")
            assert KEY.encode() not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert b"bad key [hidden]" in spool.texts()
    assert KEY.encode() not in spool.texts()


async def test_process_does_not_inherit_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    async with DetachedSubmitter() as submitter:
        found = await anyio.run_process(["ps", "eww", "-p", str(await process_of(submitter))])
    assert b"mediagen" in found.stdout
    assert KEY.encode() not in found.stdout


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
async def test_answer_of_any_status_is_handed_back_without_another_request(
    google: Google, spool: Spool, status: int
) -> None:
    answer = await answered(google, spool, status, [("location", google.url), ("retry-after", "7")])
    assert (answer.status_code, answer.headers["retry-after"], answer.is_success) == (status, "7", False)
    assert google.seen == {"job_1": 1}


def assert_never_sent(error: Answer | MediaGenError, spool: Spool) -> None:
    assert isinstance(error, UnavailableError)
    assert (error.code, error.billed, error.retryable) == ("unavailable", "no", True)
    assert error.hint.startswith("Nothing was sent or billed.")
    assert settle_call(spool.folder / "job_1-0").state == "never_sent"


async def test_refused_connection_is_certainly_not_sent(spool: Spool) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        error = await outcome(spool.request(url))
    assert_never_sent(error, spool)
    assert getattr(error, "reason", "") == "ConnectionRefusedError"


async def test_failed_tls_is_certainly_not_sent(google: Google, spool: Spool) -> None:
    error = await outcome(spool.request(google.url.replace("http:", "https:")))
    assert_never_sent(error, spool)
    assert getattr(error, "reason", "").startswith("SSL")
    assert not google.seen


async def test_header_that_cannot_be_sent_is_found_before_anything_leaves(google: Google, spool: Spool) -> None:
    error = await outcome(spool.request(google.url, headers=(("x-bad", "a\r\nb"),)))
    assert_never_sent(error, spool)
    assert not google.seen


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda handler: None, id="no answer"),
        pytest.param(lambda handler: handler.wfile.write(b"HTTP/1.1 200"), id="half a status line"),
        pytest.param(lambda handler: handler.wfile.write(b"HTTP/1.1 403 No\r\nA: b\r\n"), id="half a head"),
    ],
)
async def test_connection_dropped_after_sending_leaves_the_outcome_unknown(
    google: Google, spool: Spool, behave: Behave
) -> None:
    google.behave = behave
    error = await outcome(spool.request(google.url))
    assert isinstance(error, SubmissionUnconfirmedError)
    assert error.billed == "unknown"
    assert settle_call(spool.folder / "job_1-0").state != "never_sent"
    assert google.seen == {"job_1": 1}


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda handler: handler.answer(cut_after=5), id="half a body"),
        pytest.param(lambda handler: handler.wfile.write(f"{CHUNKED}3\r\nab".encode()), id="half a chunk"),
        pytest.param(lambda handler: handler.wfile.write(f"{CHUNKED}2\r\nab\r\n".encode()), id="no last chunk"),
        pytest.param(lambda handler: handler.answer(status=503, cut_after=5), id="half of a failure"),
        pytest.param(lambda handler: handler.answer(status=403, cut_after=5), id="half of a refusal"),
    ],
)
async def test_answer_that_is_cut_off_is_handed_back_as_that(google: Google, spool: Spool, behave: Behave) -> None:
    google.behave = behave
    answer = await outcome(spool.request(google.url))
    assert isinstance(answer, Answer)
    assert answer.end == "cut"
    assert google.seen == {"job_1": 1}


async def test_answer_in_chunks_is_stored_whole(google: Google, spool: Spool) -> None:
    google.behave = lambda handler: handler.wfile.write(f"{CHUNKED}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".encode())
    answer = await outcome(spool.request(google.url))
    assert isinstance(answer, Answer)
    assert (answer.end, answer.body()) == ("whole", b"abc")


async def test_refusal_that_comes_before_the_whole_request_is_read(google: Google, spool: Spool) -> None:
    google.reads_requests = False
    google.behave = lambda handler: handler.answer(status=413)
    result = await outcome(spool.request(google.url, body=b"x" * 30 * MEBIBYTE))
    # The answer may be swept away with the connection; then nobody knows.
    assert isinstance(result, SubmissionUnconfirmedError) or getattr(result, "status_code", 0) == 413
    assert google.seen == {"job_1": 1}


@pytest.mark.parametrize("patience", [Patience(read_seconds=0.1), Patience(total_seconds=0.1)])
async def test_answer_that_takes_too_long_leaves_the_outcome_unknown(
    google: Google, spool: Spool, patience: Patience
) -> None:
    google.behave = google.wait_and_answer
    error = await outcome(spool.request(google.url, patience=patience))
    assert isinstance(error, SubmissionUnconfirmedError)
    assert settle_call(spool.folder / "job_1-0").state == "lost"


async def test_many_requests_at_once_go_through_a_few_places(google: Google, spool: Spool) -> None:
    async with DetachedSubmitter(at_once=3) as submitter, anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(submitter.send, spool.request(google.url, f"job_{number}"))
    assert google.seen == {f"job_{number}": 1 for number in range(12)}
    assert {look_at_call(spool.folder / f"job_{number}-0").state for number in range(12)} == {"answered"}


@needs_linux
async def test_huge_answer_does_not_grow_the_process(google: Google, spool: Spool) -> None:
    size = 200 * MEBIBYTE

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(size))
        handler.end_headers()
        for _ in range(size // MEBIBYTE):
            handler.wfile.write(bytes(MEBIBYTE))

    google.behave = behave
    async with DetachedSubmitter() as submitter:
        answer = await submitter.send(spool.request(google.url, answer_limit=size))
        status = Path(f"/proc/{submitter.process_id}/status").read_text()
    assert answer.size_bytes == size == answer.path.stat().st_size - answer.offset
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    assert peak < 60 * 1024


@pytest.mark.parametrize("length", [10, 5_000])
async def test_answer_is_told_as_it_is_kept_however_long_its_head(google: Google, spool: Spool, length: int) -> None:
    headers = [(f"x-{number}", f"{KEY}{'é' * length}") for number in range(50)]
    answer = await answered(google, spool, 200, headers)
    assert (answer.body(), answer.end, len(answer.headers["x-49"])) == (b"{}", "whole", len("[hidden]") + length)
    assert settle_call(answer.path.parent).answer == answer


async def test_answer_above_the_limit_is_handed_back_as_that(google: Google, spool: Spool) -> None:
    google.behave = lambda handler: handler.answer(bytes(MEBIBYTE))
    answer = await outcome(spool.request(google.url, answer_limit=1000))
    assert isinstance(answer, Answer)
    assert answer.end == "too_large"


@needs_linux
async def test_answer_waits_for_room_on_a_full_disk(google: Google, spool: Spool) -> None:
    google.behave = lambda handler: handler.answer(b"x" * 300_000)
    answers: list[Answer] = []

    async def send() -> None:
        answers.append(await submitter.send(spool.request(google.url)))

    async with DetachedSubmitter() as submitter:
        resource.prlimit(await process_of(submitter), resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(send)
                await until_async(lambda: any(part.stat().st_size == 100_000 for part in spool.folder.rglob("*.part")))
                assert not answers
                limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                resource.prlimit(await process_of(submitter), resource.RLIMIT_FSIZE, limits)
    assert answers[0].body() == b"x" * 300_000
    assert google.seen == {"job_1": 1}


@needs_linux
async def test_nothing_is_sent_when_not_even_a_small_answer_would_fit(google: Google, spool: Spool) -> None:
    async with DetachedSubmitter() as submitter:
        resource.prlimit(await process_of(submitter), resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        with pytest.raises(StorageError) as raised:
            await submitter.send(spool.request(google.url))
    assert (raised.value.code, raised.value.billed) == ("disk_full", "no")
    assert settle_call(spool.folder / "job_1-0").state == "never_sent"
    assert not google.seen


async def test_answer_that_comes_while_the_process_is_stopped_is_kept(google: Google, spool: Spool) -> None:
    google.behave = google.wait_and_answer
    # Long enough for a slow machine to get as far as the stop.
    patience = Patience(total_seconds=5.0)
    answers: list[Answer] = []

    async def send() -> None:
        answers.append(await submitter.send(spool.request(google.url, patience=patience)))

    async with DetachedSubmitter() as submitter, anyio.create_task_group() as group:
        group.start_soon(send)
        await until_async(lambda: google.seen["job_1"])
        os.kill(await process_of(submitter), signal.SIGSTOP)
        google.released.set()
        stopped = anyio.current_time()
        await until_async(lambda: anyio.current_time() - stopped > 5.2)
        assert settle_call(spool.folder / "job_1-0").state == "sending"
        os.kill(await process_of(submitter), signal.SIGCONT)
    assert answers[0].body() == BODY


async def test_process_that_dies_is_replaced_and_its_request_is_unknown(google: Google, spool: Spool) -> None:
    google.behave = google.wait_and_answer
    failed: list[MediaGenError] = []

    async def send() -> None:
        try:
            await submitter.send(spool.request(google.url))
        except MediaGenError as error:
            failed.append(error)

    async with DetachedSubmitter() as submitter:
        first = await process_of(submitter)
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await until_async(lambda: google.seen["job_1"])
            os.kill(first, signal.SIGKILL)
        assert isinstance(failed[0], SubmissionUnconfirmedError)
        google.released.set()
        assert (await submitter.send(spool.request(google.url, "job_2"))).body() == BODY
        assert submitter.process_id != first


async def test_closed_pipe_lets_the_answer_be_stored(google: Google, spool: Spool) -> None:
    google.behave = google.wait_and_answer
    async with DetachedSubmitter() as submitter:
        process_id = await process_of(submitter)
        async with anyio.create_task_group() as group:
            group.start_soon(submitter.send, spool.request(google.url))
            await until_async(lambda: google.seen["job_1"])
            group.cancel_scope.cancel()
    assert state_of(process_id)
    google.released.set()
    await until_async(lambda: not state_of(process_id))
    settled = settle_call(spool.folder / "job_1-0")
    assert settled.answer
    assert settled.answer.body() == BODY


async def test_request_unread_by_a_stopped_process_is_not_sent_after_its_call_was_settled(
    google: Google, spool: Spool
) -> None:
    folder = spool.folder / "job_1-0"
    failed: list[MediaGenError] = []

    async def send() -> None:
        try:
            await submitter.send(spool.request(google.url))
        except MediaGenError as error:
            failed.append(error)

    async with DetachedSubmitter() as submitter, anyio.create_task_group() as group:
        os.kill(await process_of(submitter), signal.SIGSTOP)
        group.start_soon(send)
        await until_async(folder.is_dir)
        handed_over = anyio.current_time()
        await until_async(lambda: anyio.current_time() - handed_over > 0.2)
        assert settle_call(folder).state == "never_sent"
        os.kill(await process_of(submitter), signal.SIGCONT)
    assert isinstance(failed[0], SubmissionUnconfirmedError)
    assert not google.seen
    assert (folder / "paid-1.ticket").read_bytes() == b"void"


async def test_request_that_a_stopped_process_never_took_up_is_not_sent_later(
    google: Google, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagen.submitter.submitter.STORING_SECONDS", 0.1)
    patience = Patience(write_seconds=0.1, total_seconds=0.1)
    async with DetachedSubmitter() as submitter:
        os.kill(await process_of(submitter), signal.SIGSTOP)
        with pytest.raises(UnavailableError, match="does not answer") as failed:
            await submitter.send(spool.request(google.url, patience=patience))
        os.kill(await process_of(submitter), signal.SIGCONT)
        assert isinstance(await submitter.send(spool.request(google.url, "job_2")), Answer)
    assert (failed.value.code, failed.value.billed) == ("not_sent", "no")
    assert google.seen == {"job_2": 1}


async def test_call_that_was_settled_can_be_sent_anew(google: Google, spool: Spool) -> None:
    folder = spool.folder / "job_1-0"
    folder.mkdir()
    open_folder(str(folder))
    assert settle_call(folder).state == "never_sent"
    # The process that was settled may only have been stopped; it knows nothing of that.
    assert isinstance(await outcome(spool.request(google.url, ticket=1)), SubmissionUnconfirmedError)
    assert google.seen == {}
    assert isinstance(await outcome(spool.request(google.url, ticket=2)), Answer)
    assert settle_call(folder).state == settle_call(folder).state == "answered"
    assert google.seen == {"job_1": 1}


async def test_removed_folder_is_not_taken_for_never_sent(spool: Spool) -> None:
    assert settle_call(spool.folder / "job_9-0").state == "lost"


async def test_folder_that_no_submitter_had_is_not_taken_for_never_sent(spool: Spool) -> None:
    folder = spool.folder / "job_1-0"
    folder.mkdir()
    (folder / "inline-0.part").touch()
    assert settle_call(folder).state == "lost"


async def test_call_that_the_server_goes_on_with_itself_is_not_taken_for_never_sent(
    google: Google, spool: Spool
) -> None:
    folder = spool.folder / "job_1-0"
    with pytest.raises(FileNotFoundError):
        leave_unwatched(folder, 1)
    assert not folder.exists()
    folder.mkdir()
    open_folder(str(folder))
    leave_unwatched(folder, 1)
    assert settle_call(folder).state == "lost"


async def test_call_that_has_ended_meanwhile_cannot_be_sent_any_more(google: Google, spool: Spool) -> None:
    """As by a process that was stopped between the ledger's token and the ticket, while another did the job."""
    request = spool.request(google.url)
    close_folder(str(request.folder))
    (request.folder / "inline-0.part").touch()
    async with DetachedSubmitter() as submitter:
        with pytest.raises(StorageError, match="Nothing was sent"):
            await submitter.send(request)
    with pytest.raises(FileNotFoundError):
        leave_unwatched(request.folder, request.ticket)
    assert google.seen == {}


async def test_certificates_that_cannot_be_read_are_named(spool: Spool, google: Google, tmp_path: Path) -> None:
    async with DetachedSubmitter(environment={"SSL_CERT_FILE": str(tmp_path / "none.pem")}) as submitter:
        assert not await submitter.takes(google.url, spool.folder / "job_1-0")
        with pytest.raises(ConfigurationError, match="certificates"):
            await submitter.send(spool.request(google.url))
    assert not google.seen


def test_place_without_locks_or_interpreter_is_told_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available(tmp_path)
    assert not list(tmp_path.glob("tmp*"))
    assert not available(tmp_path / "missing")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not available(tmp_path)
