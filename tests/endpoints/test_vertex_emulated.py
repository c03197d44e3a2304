"""Vertex AI over real HTTP against the emulator, which checks bodies as strictly as Google does."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
import pytest_asyncio
from pydantic import SecretStr

from mediagen.credentials.credential import Credential
from mediagen.credentials.signing import sign_with
from mediagen.emulator.thread import EmulatorHandle
from mediagen.endpoints.base import Accepted, Finished, Operation, PaidRequest
from mediagen.endpoints.http import HttpSettings
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.endpoints.wire.body import VertexBodies
from mediagen.endpoints.wire.media import VideoMedia
from mediagen.errors import AuthenticationError, EndpointError, SubmissionUnconfirmedError
from mediagen.requests import ImageParameters, VideoParameters

PROJECT = "/v1beta1/projects/film-project/locations/us-central1"
TOKEN = Credential(kind="access_token", source="GOOGLE_ACCESS_TOKEN", secret=SecretStr("ya29.ready-for-tests"))
EXPRESS = Credential(kind="express_key", source="VERTEX_AI_API_KEY", secret=SecretStr("AQ.express-for-tests"))
PATIENCE_SECONDS = 60.0

OpenVertex = Callable[..., VertexAi]


@pytest_asyncio.fixture
async def open_vertex(emulator: EmulatorHandle, naps: Any) -> AsyncIterator[OpenVertex]:
    opened: list[VertexAi] = []

    def open_one(credential: Credential = TOKEN, path: str = PROJECT) -> VertexAi:
        vertex = VertexAi(
            base_url=f"{emulator.url}{path}",
            auth=sign_with(credential, emulator.url),
            key_source=f"the credential in {credential.source}",
            http=HttpSettings(sleep=naps.sleep),
        )
        opened.append(vertex)
        return vertex

    yield open_one
    for vertex in opened:
        await vertex.aclose()


def veo(prompt: str = "a red fox", storage_uri: str | None = None, **changes: Any) -> PaidRequest:
    values = {"model": "veo-3.1-generate-001", "mode": "text_to_video", "duration_seconds": 4, "resolution": "720p"}
    parameters = VideoParameters(**{**values, "aspect_ratio": "16:9", **changes})
    body = VertexBodies().build_video(
        parameters, prompt, VideoMedia(), api="predict_long_running", storage_uri=storage_uri
    )
    return PaidRequest(kind="video", model=parameters.model, api="predict_long_running", body=body)


def omni(storage_uri: str | None = None) -> PaidRequest:
    parameters = VideoParameters(
        model="gemini-omni-1.2-flash", mode="text_to_video", duration_seconds=3, resolution="360p"
    )
    body = VertexBodies().build_video(parameters, "a red fox", VideoMedia(), storage_uri=storage_uri)
    return PaidRequest(kind="video", model=parameters.model, api="interactions", body=body)


def picture() -> PaidRequest:
    parameters = ImageParameters(
        model="gemini-nano-banana-2.1", mode="text_to_image", image_size="1K", person_generation="dont_allow"
    )
    body = VertexBodies().build_image(parameters, "a red fox")
    return PaidRequest(kind="image", model=parameters.model, api="generate_content", body=body)


async def ended(vertex: VertexAi, call: PaidRequest, sinks: Any) -> Operation:
    accepted = await vertex.submit(call)
    assert isinstance(accepted, Accepted)
    return await finished(vertex, accepted, sinks)


async def finished(vertex: VertexAi, accepted: Accepted, sinks: Any) -> Operation:
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            polled = await vertex.poll(accepted.operation, sinks.open)
            if polled.state != "running":
                return polled
            await anyio.sleep(0.02)


def submissions(emulator: EmulatorHandle) -> int:
    return int(emulator.bill()["paid_submissions"])


async def test_samples_of_one_operation_come_inside_its_answer(
    open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any
) -> None:
    polled = await ended(open_vertex(), veo(count=2, seed=7, negative_prompt="blur"), sinks)
    assert (polled.state, [output.inline for output in polled.outputs]) == ("completed", [0, 1])
    assert [data[4:8] for data in sinks.files.values()] == [b"ftyp", b"ftyp"]
    assert submissions(emulator) == 1


async def test_samples_go_to_the_bucket_when_one_is_named(
    open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any
) -> None:
    emulator.make_bucket("film-project-media-output")
    polled = await ended(open_vertex(), veo(storage_uri="gs://film-project-media-output/fox/", count=2), sinks)
    assert polled.state == "completed"
    assert not sinks.files
    stored = {
        f"gs://film-project-media-output/{item['name']}" for item in emulator.objects("film-project-media-output")
    }
    assert {output.uri for output in polled.outputs} == stored
    assert len(stored) == 2


@pytest.mark.parametrize("shape", ["generated_samples", "predictions"])
async def test_old_shapes_of_an_operation_are_understood(
    open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any, shape: str
) -> None:
    emulator.add_fault(fault="old_shape", shape=shape)
    polled = await ended(open_vertex(), veo(), sinks)
    assert (polled.state, len(polled.outputs)) == ("completed", 1)


async def test_partly_filtered_operation_says_so(open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any) -> None:
    emulator.add_fault(fault="rai_partial", count=1)
    polled = await ended(open_vertex(), veo(count=4), sinks)
    assert (polled.state, len(polled.outputs)) == ("completed", 3)
    assert polled.warnings[0].startswith("1 of 4 clips was filtered: ")


@pytest.mark.parametrize(
    ("fault", "state", "code"),
    [
        ({"fault": "rai_filtered"}, "filtered", "content_filtered"),
        ({"fault": "veo_error", "code": 8}, "failed", "rate_limited"),
        ({"fault": "veo_error", "code": 13}, "failed", "generation_failed"),
        ({"fault": "service_agents_operation"}, "failed", "service_agents_provisioning"),
        ({"fault": "completed_without_video"}, "failed", "completed_without_video"),
    ],
)
async def test_each_end_of_an_operation_is_told_apart(
    open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any, fault: dict[str, Any], state: str, code: str
) -> None:
    emulator.add_fault(**fault)
    polled = await ended(open_vertex(), veo(), sinks)
    assert polled.state == state
    assert polled.error is not None
    assert polled.error.code == code


async def test_answer_that_is_cut_off_gives_whole_files_all_the_same(
    open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any, naps: list[float]
) -> None:
    vertex = open_vertex()
    accepted = await vertex.submit(veo())
    assert isinstance(accepted, Accepted)
    # An answer that it still runs is too short to be cut.
    await finished(vertex, accepted, type(sinks)())
    emulator.add_fault(fault="cut_download", after_bytes=3000, match={"path_contains": "fetchPredictOperation"})
    polled = await vertex.poll(accepted.operation, sinks.open)
    assert polled.state == "completed"
    assert len(naps) == 1
    assert sinks.files[0].count(b"ftyp") == 1


async def test_operation_that_was_lost_on_its_way_is_unconfirmed_and_not_ordered_again(
    open_vertex: OpenVertex, emulator: EmulatorHandle
) -> None:
    emulator.add_fault(fault="drop_after_accept")
    with pytest.raises(SubmissionUnconfirmedError):
        await open_vertex().submit(veo())
    assert submissions(emulator) == 1


@pytest.mark.parametrize(("credential", "path"), [(TOKEN, PROJECT), (EXPRESS, "/v1beta1")])
async def test_pictures_and_omni_clips_are_made_with_either_kind_of_address(
    open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any, credential: Credential, path: str
) -> None:
    vertex = open_vertex(credential, path)
    finished = await vertex.submit(picture())
    assert isinstance(finished, Finished)
    polled = await ended(vertex, omni(), sinks)
    assert (polled.state, polled.outputs[0].inline) == ("completed", 0)
    assert sinks.files[0][4:8] == b"ftyp"
    assert submissions(emulator) == 2


async def test_omni_clip_goes_to_the_bucket_when_one_is_named(
    open_vertex: OpenVertex, emulator: EmulatorHandle, sinks: Any
) -> None:
    emulator.make_bucket("fox-films")
    polled = await ended(open_vertex(), omni("gs://fox-films/omni/"), sinks)
    assert polled.state == "completed"
    assert (polled.outputs[0].uri or "").startswith("gs://fox-films/omni/")


async def test_check_and_probe_cost_nothing(open_vertex: OpenVertex, emulator: EmulatorHandle) -> None:
    vertex = open_vertex()
    found = await vertex.check()
    assert (found.reachable, found.key_ok, found.error) == (True, True, None)
    assert "veo-3.1-generate-001" in found.models
    good = await vertex.probe("gemini-nano-banana-2.1", picture().body)
    assert (good.accepted, good.refused_fields) == (True, ())
    body = picture().body
    body["generationConfig"]["imageConfig"]["imageFlavour"] = "1K"
    bad = await vertex.probe("gemini-nano-banana-2.1", body)
    assert bad.accepted is False
    assert [field.rpartition(".")[2] for field in bad.refused_fields] == ["imageFlavour"]
    assert submissions(emulator) == 0


@pytest.mark.parametrize(
    ("credential", "said"),
    [
        (Credential(kind="api_key", source="GOOGLE_API_KEY", secret=SecretStr("AQ.key-for-tests")), "API keys are not"),
        (Credential(kind="access_token", source="X", secret=SecretStr("ya29.ready-scope-missing")), "cloud-platform"),
        (Credential(kind="access_token", source="X", secret=SecretStr("ya29.expired-one")), "still valid"),
    ],
)
async def test_refused_credential_is_named_with_what_to_do(
    open_vertex: OpenVertex, emulator: EmulatorHandle, credential: Credential, said: str
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        await open_vertex(credential).submit(veo())
    assert f"the credential in {credential.source}" in str(caught.value)
    assert said in str(caught.value)
    assert "for-tests" not in str(caught.value)
    assert submissions(emulator) == 0


async def test_model_that_vertex_lacks_is_told_and_not_billed(
    open_vertex: OpenVertex, emulator: EmulatorHandle
) -> None:
    with pytest.raises(EndpointError) as caught:
        await open_vertex().submit(veo(model="veo-9.9-generate-001"))
    assert (caught.value.code, caught.value.billed) == ("model_not_found", "no")
    assert submissions(emulator) == 0
