"""What comes of a paid request is the same whether it leaves through the submitter or from this process."""

import gzip
import json
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from tests.endpoints.conftest import LoopbackServer, Naps, Reply

from mediagen.endpoints.base import Accepted, PaidRequest
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.http import HttpSettings
from mediagen.errors import MediaGenError
from mediagen.submitter.base import is_supported
from mediagen.submitter.tickets import open_folder

pytestmark = pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")

DONE = Reply(body={"id": "v1_abc", "status": "in_progress"})
PACKED = gzip.compress(json.dumps(DONE.body).encode())
QUOTA = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
NO = {"error": {"code": 401, "message": "who are you?", "status": "UNAUTHENTICATED"}}


class TwoTokens(httpx.Auth):
    """Takes a second token when the first is refused, as Google's credentials do."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = "Bearer first-token"
        response = yield request
        if response.status_code == 401:
            request.headers["authorization"] = "Bearer second-token"
            yield request


@pytest_asyncio.fixture
async def both(loopback: LoopbackServer, naps: Naps) -> AsyncIterator[tuple[GeminiApi, GeminiApi]]:
    from mediagen.submitter.submitter import DetachedSubmitter

    http = HttpSettings(sleep=naps.sleep, answer_limit=10_000, paid_read_seconds=20.0)
    given = {"auth": TwoTokens(), "key_source": "a token", "base_url": loopback.url, "http": http}
    # Entered by hand: pytest may close a fixture in another task than it opened it in.
    submitter = DetachedSubmitter()
    async with GeminiApi(**given) as here, GeminiApi(**given, submitter=submitter) as detached:  # type: ignore[arg-type]  # of a dictionary
        yield here, detached


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([DONE], id="accepted"),
        pytest.param([Reply(body=PACKED, headers={"Content-Encoding": "gzip"})], id="compressed unasked"),
        pytest.param([Reply(status=401, body=NO), DONE], id="refreshed"),
        pytest.param([Reply(status=401, body=NO), Reply(status=401, body=NO)], id="refused twice"),
        pytest.param([Reply(status=429, body=QUOTA, headers={"Retry-After": "1"}), DONE], id="sent again"),
        pytest.param([Reply(status=429, body=QUOTA)], id="quota"),
        pytest.param([Reply(status=502, body=b"bad gateway")], id="gateway"),
        pytest.param([Reply(status=503, body={"error": {"code": 503, "status": "UNAVAILABLE"}})], id="overloaded"),
        pytest.param([Reply(status=302, headers={"Location": "/elsewhere"})], id="redirected"),
        pytest.param([Reply(body=DONE.body, cut_after=5)], id="cut"),
        pytest.param([Reply(status=403, body=NO, cut_after=5)], id="cut refusal"),
        pytest.param([Reply(status=500, body=NO, cut_after=5)], id="cut failure"),
        pytest.param([Reply(body=b"x" * 20_000)], id="too large"),
        pytest.param([Reply(body=b"{}")], id="without a name"),
    ],
)
async def test_answer_is_judged_alike(
    both: tuple[GeminiApi, GeminiApi], loopback: LoopbackServer, tmp_path: Path, script: list[Reply]
) -> None:
    outcomes: list[object] = []
    here, detached = both
    async with detached._http.submitter or pytest.fail("there is no submitter"):  # type: ignore[attr-defined]  # the protocol has no context
        for api in (here, detached):
            loopback.script = list(script)
            loopback.received.clear()
            folder = tmp_path / "spool 🎬" / f"job_{len(outcomes)}-0"
            folder.mkdir(parents=True)
            open_folder(str(folder))
            call = PaidRequest(kind="video", model="omni", api="interactions", body={"input": "a boat"}, folder=folder)
            outcome: object
            try:
                outcome = await api.submit(call)
                assert isinstance(outcome, Accepted)
            except MediaGenError as error:
                outcome = (type(error), str(error), error.code, error.billed, error.retryable)
            sent = [(asked.target, asked.headers["authorization"], asked.body) for asked in loopback.received]
            agents = {(asked.headers["user-agent"], asked.headers["content-type"]) for asked in loopback.received}
            outcomes.append((outcome, sent, agents))
    assert outcomes[0] == outcomes[1]
    assert loopback.script == []
    tickets = list(folder.glob("*.ticket"))
    assert len(tickets) == len(loopback.received) == len(script)
