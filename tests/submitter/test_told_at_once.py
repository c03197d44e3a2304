"""An answer is told of as soon as it can be read, and made durable meanwhile."""

import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.submitter.conftest import BODY, Google, Handler, Spool, pytestmark

from mediagen.runner.spool import empty
from mediagen.submitter import answer_file
from mediagen.submitter.exchange import TOLD_BYTES, Exchange
from mediagen.submitter.link import Link
from mediagen.submitter.recovery import answer_of, settle_call
from mediagen.submitter.submitter import DetachedSubmitter, _head
from mediagen.submitter.tickets import Ticket, path_of

__all__ = ["pytestmark"]


@dataclass
class Told:
    """What is told of an answer, and whether that was before it had its name."""

    folder: Path
    heads: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    was_named: list[bool] = field(default_factory=list)

    def hear(self, result: dict[str, Any], body: bytes) -> bool:
        assert result["state"] == "arrived"
        self.heads.append(result["head"])
        self.bodies.append(body)
        self.was_named.append(Path(path_of(str(self.folder), 1, "answer")).exists())
        return True


def exchange_of(
    google: Google,
    spool: Spool,
    arrived: Callable[[dict[str, Any], bytes], bool],
    wait: Callable[[], None] = lambda: None,
) -> Exchange:
    """A request that is sent in this process."""
    request = spool.request(google.url)
    head = {**_head(request, 1), "proxy": None}
    return Exchange(head, bytearray(request.body), tls=ssl.create_default_context(), wait=wait, arrived=arrived)


def test_answer_is_told_of_with_its_body_before_it_has_its_name(google: Google, spool: Spool) -> None:
    told = Told(spool.folder / "job_1-0")
    result = exchange_of(google, spool, told.hear).run()
    assert (told.bodies, told.was_named) == ([BODY], [False])
    assert result == {"state": "answered", "head": told.heads[0]}
    kept = settle_call(told.folder).answer
    assert kept
    assert kept == answer_of(told.folder, 1, told.heads[0], BODY)
    assert kept.body() == BODY


def test_body_of_a_larger_answer_is_read_where_it_is_by_then(google: Google, spool: Spool) -> None:
    large = os.urandom(TOLD_BYTES + 1)
    google.behave = lambda handler: handler.answer(large)
    read: list[bytes] = []

    class Reading(Told):
        def hear(self, result: dict[str, Any], body: bytes) -> bool:
            super().hear(result, body)
            read.append(answer_of(self.folder, 1, result["head"], body).body())
            return True

    told = Reading(spool.folder / "job_1-0")
    exchange_of(google, spool, told.hear).run()
    assert (told.bodies, told.was_named) == ([b""], [False])
    assert read == [large]
    assert answer_of(told.folder, 1, told.heads[0]).body() == large


def test_answer_that_the_disk_does_not_take_is_not_told_of_early(
    google: Google, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full = True
    flushed = answer_file.AnswerFile._flushed

    def waited(self: answer_file.AnswerFile) -> bool:
        return False if is_full else flushed(self)

    def has_room() -> None:
        nonlocal is_full
        is_full = False

    monkeypatch.setattr(answer_file.AnswerFile, "_flushed", waited)
    told = Told(spool.folder / "job_1-0")
    assert exchange_of(google, spool, told.hear, has_room).run()["state"] == "answered"
    assert told.heads == []
    kept = settle_call(told.folder).answer
    assert kept
    assert kept.body() == BODY


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError(), ValueError()])
def test_answer_that_cannot_be_told_of_early_is_kept(google: Google, spool: Spool, error: Exception) -> None:
    def failing(_result: dict[str, Any], _body: bytes) -> bool:
        raise error

    exchange = exchange_of(google, spool, failing)
    assert exchange.run()["state"] == "answered"
    assert not exchange.is_told
    kept = settle_call(spool.folder / "job_1-0").answer
    assert kept
    assert kept.body() == BODY


async def test_answer_of_each_size_comes_whole(google: Google, spool: Spool) -> None:
    async with DetachedSubmitter() as submitter:
        for number, size in enumerate((0, 1, 5_000, TOLD_BYTES, TOLD_BYTES + 1, 3_000_000)):
            body = os.urandom(size)
            google.behave = partial(Handler.answer, body=body)
            answer = await submitter.send(spool.request(google.url, f"job_{number}"))
            assert await anyio.to_thread.run_sync(answer.body) == body
            assert (answer.size_bytes, answer.end) == (size, "whole")


async def test_many_answers_at_once_are_told_whole_to_who_is_slow(google: Google, spool: Spool) -> None:
    """More than the socket takes: what does not fit is told when it is durable."""
    bodies = {f"job_{number}": os.urandom(TOLD_BYTES - number) for number in range(24)}
    google.behave = lambda handler: handler.answer(bodies[handler.headers["x-job"]])
    found: dict[str, bytes] = {}

    async def send(submitter: DetachedSubmitter, job: str) -> None:
        answer = await submitter.send(spool.request(google.url, job))
        found[job] = await anyio.to_thread.run_sync(answer.body)

    async with DetachedSubmitter() as submitter, anyio.create_task_group() as group:
        assert await submitter.ready()
        for job in bodies:
            group.start_soon(send, submitter, job)
        # Requests are on their way; nothing is taken from the socket for a while.
        with anyio.fail_after(20):
            while sum(google.seen.values()) < len(bodies) / 2:
                await anyio.sleep(0.01)
        threading.Event().wait(1.0)
    assert found == bodies


async def test_process_that_ended_before_it_was_asked_is_not_waited_for() -> None:
    link = await anyio.to_thread.run_sync(Link.start)
    await link.close()
    with anyio.fail_after(5):
        assert (await link.ask({}, b"", write_seconds=5)).reply is None
        assert await link.greet({}) is None


def test_folder_is_cleared_once_its_answer_is_durable(spool: Spool) -> None:
    request = spool.request("http://127.0.0.1:9/")
    ticket = Ticket(str(request.folder), 1)
    ticket.mark_sent()
    (request.folder / "paid-1.answer").write_bytes(b"{}")
    timer = threading.Timer(0.1, ticket.close)
    timer.start()
    empty(request.folder)
    assert (request.folder / "paid-1.answer").exists()
    empty(request.folder, 10.0)
    assert list(request.folder.iterdir()) == []
    timer.join()
