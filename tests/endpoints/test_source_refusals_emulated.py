"""Refusals of a source over real HTTP: each surface's own words arrive as our codes, and nothing was paid."""

import base64
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from mediagen.credentials import ApiKeyAuth
from mediagen.credentials.credential import Credential
from mediagen.credentials.signing import sign_with
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints.base import Accepted, PaidRequest
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.http import HttpSettings
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.errors import EndpointError
from mediagen.media.ffmpeg import find_ffmpeg

OMNI, VEO = "gemini-omni-1.2-flash", "veo-3.1-fast-generate-001"
PROJECT = "/v1beta1/projects/film-project/locations/us-central1"
TOKEN = Credential(kind="access_token", source="GOOGLE_ACCESS_TOKEN", secret=SecretStr("ya29.ready-for-tests"))
NO_FILM = base64.b64encode(b"no film").decode()
GONE = "https://generativelanguage.googleapis.com/v1beta/files/abc123"
WEB = "https://example.org/film.mp4"


def extension(task: str = "extend", **video: str) -> PaidRequest:
    content = [{"type": "video", "mime_type": "video/mp4", **video}, {"type": "text", "text": "on"}]
    body = {
        "model": OMNI,
        "background": True,
        "store": True,
        "input": [{"type": "user_input", "content": content}],
        "generation_config": {"video_config": {"task": task}},
        "response_format": {"type": "video"},
    }
    return PaidRequest(kind="video", model=OMNI, api="interactions", body=body)


def veo_extension(**video: str) -> PaidRequest:
    body = {"instances": [{"prompt": "on", "video": video}], "parameters": {"durationSeconds": 7}}
    return PaidRequest(kind="video", model=VEO, api="predict_long_running", body=body)


@pytest_asyncio.fixture
async def vertex(emulator: EmulatorHandle, naps: Any) -> AsyncIterator[VertexAi]:
    made = VertexAi(
        base_url=f"{emulator.url}{PROJECT}",
        auth=sign_with(TOKEN, emulator.url),
        key_source="the credential in GOOGLE_ACCESS_TOKEN",
        http=HttpSettings(sleep=naps.sleep),
    )
    yield made
    await made.aclose()


@pytest_asyncio.fixture
async def gemini(emulator: EmulatorHandle, naps: Any) -> AsyncIterator[GeminiApi]:
    made = GeminiApi(
        base_url=emulator.url,
        auth=ApiKeyAuth(SecretStr("AQ.test"), emulator.url),
        key_source="GEMINI_API_KEY",
        http=HttpSettings(sleep=naps.sleep),
    )
    yield made
    await made.aclose()


async def code_of(endpoint: GeminiApi | VertexAi, call: PaidRequest) -> str:
    with pytest.raises(EndpointError) as raised:
        await endpoint.submit(call)
    error = raised.value
    assert (type(error), error.retryable, error.billed, bool(error.hint)) == (EndpointError, False, "no", True)
    return error.code


async def test_refusals_of_the_gemini_api_have_codes_of_ours(gemini: GeminiApi, emulator: EmulatorHandle) -> None:
    assert await code_of(gemini, extension(uri=GONE)) == "source_expired"
    assert await code_of(gemini, extension(uri=WEB)) == "source_refused"
    assert await code_of(gemini, extension(uri="gs://bucket/film.mp4")) == "source_refused"
    assert await code_of(gemini, extension(data=NO_FILM)) == "source_refused"
    emulator.add_fault(fault="use_case_unsupported")
    assert await code_of(gemini, extension(data=NO_FILM)) == "use_case_refused"
    assert emulator.bill()["paid_submissions"] == 0


async def test_refusals_of_vertex_ai_have_codes_of_ours(vertex: VertexAi, emulator: EmulatorHandle) -> None:
    typed = {"mimeType": "video/mp4"}
    assert await code_of(vertex, extension(uri=GONE)) == "source_refused"
    assert await code_of(vertex, veo_extension(gcsUri=WEB, **typed)) == "source_refused"
    assert await code_of(vertex, veo_extension(bytesBase64Encoded=NO_FILM)) == "source_refused"
    assert await code_of(vertex, veo_extension(bytesBase64Encoded=NO_FILM, **typed)) == "source_refused"
    emulator.add_fault(fault="use_case_unsupported")
    assert await code_of(vertex, veo_extension(bytesBase64Encoded=NO_FILM, **typed)) == "use_case_refused"
    assert emulator.bill()["paid_submissions"] == 0


@pytest.mark.parametrize("task", ["extend", "edit"])
async def test_region_is_told_apart_from_a_location_that_is_not_served(
    gemini: GeminiApi, vertex: VertexAi, emulator: EmulatorHandle, small_clip: bytes, task: str
) -> None:
    call = extension(task, data=base64.b64encode(small_clip).decode())
    for endpoint in (gemini, vertex):
        emulator.add_fault(fault="region")
        assert await code_of(endpoint, call) == "region_refused"
        emulator.add_fault(fault="location_unsupported")
        assert await code_of(endpoint, call) == "location_unsupported"
        assert isinstance(await endpoint.submit(call), Accepted)
    assert emulator.bill()["paid_submissions"] == 2


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    source = "color=c=blue:size=128x72:rate=24:duration=3"
    encoding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", str(path)]
    command = [find_ffmpeg(None), "-loglevel", "error", "-f", "lavfi", "-i", source, *encoding]
    subprocess.run(command, check=True, timeout=60)
    return path.read_bytes()
