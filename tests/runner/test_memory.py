"""What a finished file takes of this process's memory does not grow with the file; no machine matters for that."""

import base64
import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import respx
from pydantic import SecretStr
from tests.runner.crashing import collector_in, job_of

from mediagen.credentials import ApiKeyAuth
from mediagen.endpoints.base import PaidRequest, Submission
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.jobs import JobStatus
from mediagen.runner.patience import Patience
from mediagen.runner.steps import CallSteps
from mediagen.storage.conversations import Conversations
from mediagen.submitter.base import Answer as StoredAnswer

URL = "https://google.test"
MEGABYTE = 1_000_000
PIECE = base64.b64encode(os.urandom(3 * 20_000))
SMALL, LARGE = 2, 20
# Of memory, for each megabyte by which an answer is longer; a copy of the answer would be 1.
SHARE = 0.02
CONTENTS = [{"role": "user", "parts": [{"text": "a fox"}]}]
HEAD = b'{"candidates":[{"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"'
END = b'"},"thoughtSignature":"c2lnbmVk"}]},"finishReason":"STOP"}]}'
CLIP_HEAD = b'{"name":"x","done":true,"response":{"videos":[{"mimeType":"video/mp4","bytesBase64Encoded":"'
CLIP_END = b'"}]}}'


def answer(megabytes: int, head: bytes, end: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(megabytes * MEGABYTE // len(PIECE)):
        yield PIECE
    yield end


class Arriving(httpx.AsyncByteStream):
    """An answer that nobody has whole."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def gemini() -> GeminiApi:
    return GeminiApi(auth=ApiKeyAuth(SecretStr("key"), URL), key_source="GEMINI_API_KEY", base_url=URL)


async def arriving(api: GeminiApi, call: PaidRequest, megabytes: int) -> Submission:
    """An answer that this process takes in itself."""
    respx.post(url__regex=".*").mock(return_value=httpx.Response(200, stream=Arriving(answer(megabytes, HEAD, END))))
    return await api.submit(call)


async def stored(api: GeminiApi, call: PaidRequest, megabytes: int) -> Submission:
    """An answer that a submitter has put on the disk."""
    assert call.folder
    path = call.folder / "paid-1.answer"
    with path.open("wb") as file:
        file.writelines(answer(megabytes, HEAD, END))
    found = StoredAnswer(status_code=200, headers={}, path=path, offset=0, size_bytes=path.stat().st_size)
    return await api.read_answer(call, found)


async def peak_of(work: Callable[[int], Awaitable[None]], megabytes: int) -> int:
    tracemalloc.start()
    try:
        await work(megabytes)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def growth(work: Callable[[int], Awaitable[None]]) -> float:
    """Bytes of memory for each byte by which an answer is longer."""
    await work(SMALL)  # imports
    small, large = await peak_of(work, SMALL), await peak_of(work, LARGE)
    return (large - small) / ((LARGE - SMALL) * MEGABYTE)


@pytest.mark.parametrize("came", [arriving, stored])
@respx.mock
async def test_memory_for_a_picture_does_not_grow_with_it(
    tmp_path: Path, came: Callable[[GeminiApi, PaidRequest, int], Awaitable[Submission]]
) -> None:
    made: list[Path] = []

    async def work(megabytes: int) -> None:
        folder = tmp_path / f"{len(made)}"
        folder.mkdir()
        made.append(folder)
        collector = collector_in(folder)
        steps = CallSteps(
            ledger=collector.ledger,
            endpoints=collector.endpoints,
            collector=collector,
            conversations=Conversations(folder=folder / "conversations"),
            poll_seconds=1,
            clock=collector.clock,
            patience=Patience(clock=collector.clock),
        )
        job = job_of(folder)
        Path(job.output_dir).mkdir()
        await collector.ledger.create(job)
        request = PaidRequest(kind="image", model="m", api="generate_content", body={"contents": CONTENTS})
        request = await steps.with_ticket(job, job.calls[0], request, "token")
        async with gemini() as api:
            await steps.keep(job, job.calls[0], await came(api, request, megabytes), request)
        job = await collector.ledger.get(job.job_id)
        assert job.status is (JobStatus.SUCCEEDED if came is stored else JobStatus.DOWNLOADING)
        if came is arriving:  # not the short way, on which it is in its place by now
            assert await collector.collect(job, job.calls[0]) is None
        job = await collector.ledger.get(job.job_id)
        await collector.ledger.aclose()
        (artifact,) = job.artifacts
        assert artifact.size_bytes == megabytes * MEGABYTE // len(PIECE) * 60_000
        assert (folder / "conversations" / "job_1-0.json.gz").stat().st_size > megabytes * MEGABYTE * 0.7

    assert await growth(work) < SHARE


@respx.mock
async def test_memory_for_a_clip_does_not_grow_with_it(tmp_path: Path) -> None:
    name = "projects/p/locations/l/publishers/google/models/veo/operations/o"

    async def work(megabytes: int) -> None:
        spool = collector_in(tmp_path).spool
        job = job_of(tmp_path)
        coming = Arriving(answer(megabytes, CLIP_HEAD, CLIP_END))
        respx.post(url__regex=".*").mock(return_value=httpx.Response(200, stream=coming))
        async with VertexAi(auth=httpx.Auth(), key_source="a token", base_url=f"{URL}/v1beta1/{name[:22]}") as api:
            polled = await api.poll(name, spool.sinks(job, job.calls[0]))
        assert polled.state == "completed"
        (uri,) = await spool.keep_outputs(job, job.calls[0], polled.outputs)
        size = Path(httpx.URL(uri).path).stat().st_size
        assert size == megabytes * MEGABYTE // len(PIECE) * 60_000
        await spool.forget(job, job.calls[0])

    assert await growth(work) < SHARE
