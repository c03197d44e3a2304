import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mediagen.endpoints.base import Accepted, Finished, Output, PaidRequest
from mediagen.endpoints.vertex_ai import VertexAi
from mediagen.errors import (
    AuthenticationError,
    ConfigurationError,
    EndpointError,
    InvalidRequestError,
    MediaGenError,
    SubmissionUnconfirmedError,
)

Answers = Callable[[str], tuple[int, bytes]]
Loopback = Any
MakeReply = Callable[..., Any]
MakeVertex = Callable[..., VertexAi]

PATH = "/v1beta1/projects/film-project/locations/us-central1"
EXPRESS = "/v1beta1"
PROMPT = "a red fox that nobody may read about"
IMAGE = PaidRequest(
    kind="image",
    model="gemini-nano-banana-2.1",
    api="generate_content",
    body={"contents": [{"parts": [{"text": PROMPT}]}]},
)
OMNI = PaidRequest(
    kind="video",
    model="gemini-omni-1.2-flash",
    api="interactions",
    body={"model": "gemini-omni-1.2-flash", "input": PROMPT},
)
VEO = PaidRequest(
    kind="video",
    model="veo-3.1-generate-001",
    api="predict_long_running",
    body={"instances": [{"prompt": PROMPT}], "parameters": {"negativePrompt": "blur and grain", "sampleCount": 1}},
)
MODEL_PATH = "projects/film-project/locations/us-central1/publishers/google/models/veo-3.1-generate-001"
OPERATION = f"{MODEL_PATH}/operations/2f6e0c3a-0000-4000-8000-000000000001"


@pytest.mark.parametrize("base", [PATH, EXPRESS])
async def test_picture_request_is_sent_once_and_signed(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, base: str
) -> None:
    loopback.script = [make_reply(body=captured_answer("image_ok")[1])]
    finished = await make_vertex(loopback.url, base).submit(IMAGE)
    assert isinstance(finished, Finished)
    (request,) = loopback.received
    target = f"{base}/publishers/google/models/gemini-nano-banana-2.1:generateContent"
    assert (request.method, request.target) == ("POST", target)
    assert json.loads(request.body) == IMAGE.body
    assert request.headers["authorization"] == "Bearer plain-looking-token-of-nobody"


@pytest.mark.parametrize("base", [PATH, EXPRESS])
async def test_omni_request_gives_the_interaction(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, base: str
) -> None:
    loopback.script = [make_reply(body=captured_answer("interaction_queued")[1])]
    assert await make_vertex(loopback.url, base).submit(OMNI) == Accepted(operation="v1_abc")
    assert loopback.received[0].target == f"{base}/interactions"


async def test_veo_request_gives_the_operation(vertex: VertexAi, loopback: Loopback, make_reply: MakeReply) -> None:
    loopback.script = [make_reply(body={"name": OPERATION})]
    assert await vertex.submit(VEO) == Accepted(operation=OPERATION)
    (request,) = loopback.received
    assert request.target == f"{PATH}/publishers/google/models/veo-3.1-generate-001:predictLongRunning"
    assert json.loads(request.body) == VEO.body


@pytest.mark.parametrize("call", [IMAGE, OMNI, VEO])
@pytest.mark.parametrize(
    "reply", [{"hang_up": True}, {"status": 502, "body": b"<html>"}, {"body": b'{"name":"x"}', "cut_after": 3}]
)
async def test_paid_request_of_unknown_outcome_is_never_sent_again(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, call: PaidRequest, reply: dict[str, Any]
) -> None:
    loopback.answer = lambda _: make_reply(**reply)
    with pytest.raises(SubmissionUnconfirmedError):
        await vertex.submit(call)
    assert len(loopback.received) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"name":""}', b'{"done":true}'])
async def test_accepted_operation_without_a_name_is_unconfirmed(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, body: bytes
) -> None:
    loopback.script = [make_reply(body=body)]
    with pytest.raises(SubmissionUnconfirmedError):
        await vertex.submit(VEO)


async def test_project_that_is_being_set_up_is_told_as_unbilled_and_retryable(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    status, body = captured_answer("observed_service_agents_provisioning")
    loopback.answer = lambda _: make_reply(status=status, body=body)
    with pytest.raises(EndpointError) as caught:
        await vertex.submit(VEO)
    error = caught.value
    assert (error.code, error.retryable, error.billed) == ("service_agents_provisioning", True, "no")
    assert len(loopback.received) == 1


async def test_veo_operation_is_polled_by_its_name_and_never_by_get(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, sinks: Any
) -> None:
    loopback.script = [make_reply(body=captured_answer("veo_operation_running__vertex")[1])]
    polled = await vertex.poll(OPERATION, sinks.open)
    assert (polled.state, polled.outputs, sinks.files) == ("running", (), {})
    (request,) = loopback.received
    model = f"{PATH}/publishers/google/models/veo-3.1-generate-001"
    assert (request.method, request.target) == ("POST", f"{model}:fetchPredictOperation")
    assert json.loads(request.body) == {"operationName": OPERATION}


async def test_poll_is_the_captured_one(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply, sinks: Any
) -> None:
    capture = json.loads((Path(__file__).parent / "wire" / "veo_operation_get__vertex.json").read_text())
    loopback.script = [make_reply(body={"name": "x"})]
    await make_vertex(loopback.url).poll(capture["body"]["operationName"], sinks.open)
    assert loopback.received[0].target == capture["path"]
    assert json.loads(loopback.received[0].body) == capture["body"]


async def test_clips_inside_the_answer_go_to_their_sinks(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, sinks: Any
) -> None:
    clips = [bytes([number]) * (400_000 + number) for number in range(4)]
    videos = [{"bytesBase64Encoded": base64.b64encode(clip).decode(), "mimeType": "video/mp4"} for clip in clips]
    loopback.script = [make_reply(body={"name": OPERATION, "done": True, "response": {"videos": videos}})]
    polled = await vertex.poll(OPERATION, sinks.open)
    assert polled.outputs == tuple(Output(inline=number, mime_type="video/mp4") for number in range(4))
    assert sinks.files == dict(enumerate(clips))
    assert max(part.largest_piece for part in sinks.parts.values()) <= 256 * 1024


async def test_cut_answer_starts_its_files_over(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, sinks: Any
) -> None:
    clip = bytes(300_000)
    videos = [{"bytesBase64Encoded": base64.b64encode(clip).decode()}]
    body = json.dumps({"name": OPERATION, "done": True, "response": {"videos": videos}}).encode()
    loopback.script = [
        make_reply(body=body, cut_after=350_000),
        make_reply(status=503, body=captured_answer("http_503_overloaded")[1]),
        make_reply(body=body),
    ]
    polled = await vertex.poll(OPERATION, sinks.open)
    assert polled.outputs == (Output(inline=0),)
    assert sinks.files == {0: clip}
    assert sinks.parts[0].truncated >= 1


async def test_full_disk_under_an_inline_clip_is_told_and_not_tried_again(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers
) -> None:
    from mediagen.errors import StorageError

    class FullDisk:
        def size(self) -> int:
            return 0

        async def append(self, data: bytes, /) -> None:
            raise StorageError("The disk is full.")

        async def truncate(self) -> None: ...

    async def open_sink(_number: int) -> FullDisk:
        return FullDisk()

    loopback.script = [make_reply(body=captured_answer("veo_operation_done_bytes__vertex")[1])]
    with pytest.raises(StorageError):
        await vertex.poll(OPERATION, open_sink)
    assert len(loopback.received) == 1


@pytest.mark.parametrize(
    ("limits", "body"),
    [
        ({"skeleton_limit": 2000}, json.dumps({"name": OPERATION, "text": "x" * 3000})),
        ({"read_limit": 2000}, json.dumps({"name": OPERATION, "data": "AAAA" * 1000})),
        ({}, json.dumps({"name": OPERATION, "x": [{"data": "AAAA"}] * 40})),
    ],
)
async def test_answer_beyond_the_limits_is_refused(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply, sinks: Any, limits: dict[str, int], body: str
) -> None:
    loopback.script = [make_reply(body=body.encode())]
    with pytest.raises(EndpointError) as caught:
        await make_vertex(loopback.url, **limits).poll(OPERATION, sinks.open)
    assert caught.value.code == "answer_too_large"
    assert len(sinks.parts) <= 32


async def test_large_clip_needs_no_large_skeleton(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply, sinks: Any
) -> None:
    clip = bytes(1_000_000)
    body = {"name": OPERATION, "done": True, "response": {"videos": [{"data": base64.b64encode(clip).decode()}]}}
    loopback.script = [make_reply(body=body)]
    polled = await make_vertex(loopback.url, skeleton_limit=2000).poll(OPERATION, sinks.open)
    assert polled.outputs == (Output(inline=0),)
    assert sinks.files == {0: clip}


@pytest.mark.parametrize(
    "name",
    [
        "projects/p/operations/1",
        "../operations/x",
        "a/../models/m/operations/x",
        "models/m/operations/x?y",
        "https://x/models/m/operations/1",
    ],
)
async def test_what_is_no_operation_name_is_not_asked_for(
    vertex: VertexAi, loopback: Loopback, sinks: Any, name: str
) -> None:
    with pytest.raises(EndpointError) as caught:
        await vertex.poll(name, sinks.open)
    assert caught.value.code == "operation_unknown"
    assert not loopback.received


async def test_unknown_operation_is_told_as_such(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, sinks: Any
) -> None:
    loopback.script = [make_reply(status=404, body={"error": {"code": 404, "message": "gone", "status": "NOT_FOUND"}})]
    with pytest.raises(EndpointError) as caught:
        await vertex.poll(OPERATION, sinks.open)
    assert caught.value.code == "operation_unknown"


@pytest.mark.parametrize("base", [PATH, EXPRESS])
async def test_interaction_is_polled_and_cancelled_at_its_address(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply, captured_answer: Answers, sinks: Any, base: str
) -> None:
    loopback.script = [
        make_reply(body=captured_answer("interaction_completed_inline")[1]),
        make_reply(body=b"{}"),
    ]
    vertex = make_vertex(loopback.url, base)
    polled = await vertex.poll("v1_abc", sinks.open)
    assert polled.outputs == (Output(inline=0, mime_type="video/mp4"),)
    assert sinks.files[0][4:8] == b"ftyp"
    assert await vertex.cancel("v1_abc")
    asked = [(request.method, request.target) for request in loopback.received]
    assert asked == [
        ("GET", f"{base}/interactions/v1_abc?stream=false"),
        ("POST", f"{base}/interactions/v1_abc/cancel"),
    ]


async def test_veo_operation_cannot_be_cancelled(vertex: VertexAi, loopback: Loopback) -> None:
    assert await vertex.cancel(OPERATION) is False
    assert not loopback.received


async def test_upload_is_refused_with_a_way_out(vertex: VertexAi, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="gs://"):
        await vertex.upload(tmp_path / "a.mp4", "video/mp4")


@pytest.mark.parametrize("base", [PATH, EXPRESS])
async def test_check_lists_the_models_of_all_pages(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply, base: str
) -> None:
    names = [{"name": "publishers/google/models/a"}, {"name": "publishers/google/models/b"}]
    loopback.script = [
        make_reply(
            body={"publisherModels": names, "nextPageToken": "2"}, headers={"Date": "Sat, 21 Nov 2026 07:00:42 GMT"}
        ),
        make_reply(body={"publisherModels": [{"name": "publishers/google/models/c"}, {}]}),
    ]
    found = await make_vertex(loopback.url, base, clock=lambda: datetime(2026, 11, 21, 7, tzinfo=UTC)).check()
    assert (found.reachable, found.key_ok, found.models, found.error) == (True, True, ("a", "b", "c"), None)
    assert found.clock_skew_seconds == 42
    assert [request.target for request in loopback.received] == [
        "/v1beta1/publishers/google/models?pageSize=50",
        "/v1beta1/publishers/google/models?pageSize=50&pageToken=2",
    ]


async def test_check_says_that_a_key_which_may_not_list_may_still_generate(
    make_vertex: MakeVertex, loopback: Loopback, make_reply: MakeReply
) -> None:
    said = "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials."
    loopback.script = [make_reply(status=401, body={"error": {"code": 401, "message": said}})]
    found = await make_vertex(loopback.url, EXPRESS).check()
    assert (found.reachable, found.key_ok, found.models) == (True, None, ())
    assert found.error is not None
    assert "may still be able to generate" in found.error


async def test_check_names_the_credential_that_was_refused(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply
) -> None:
    loopback.script = [
        make_reply(status=401, body={"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}})
    ]
    found = await vertex.check()
    assert (found.reachable, found.key_ok) == (True, False)
    assert found.error is not None
    assert "the service account in GOOGLE_APPLICATION_CREDENTIALS" in found.error
    assert "API key" not in found.error


async def test_check_tells_a_page_that_is_not_the_api(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply
) -> None:
    loopback.script = [make_reply(body=b"<html>sign in</html>")]
    found = await vertex.check()
    assert (found.reachable, found.key_ok) == (True, None)
    assert found.error is not None
    assert "GOOGLE_VERTEX_BASE_URL" in found.error


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
async def test_echoed_prompt_and_token_are_not_repeated(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, status: int
) -> None:
    echo = f"Invalid value {PROMPT!r}, blur and grain, with plain-looking-token-of-nobody"
    loopback.answer = lambda _: make_reply(status=status, body={"error": {"message": echo}})
    with pytest.raises(MediaGenError) as caught:
        await vertex.submit(VEO)
    for hidden in ("fox", "grain", "plain-looking"):
        assert hidden not in str(caught.value)


async def test_model_that_the_location_lacks_is_told_with_a_way_out(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply
) -> None:
    said = (
        "Publisher Model `projects/film-project/locations/us-central1/publishers/google/models/veo-3.1-generate-001` "
        "was not found or your project does not have access to it."
    )
    loopback.script = [make_reply(status=404, body={"error": {"code": 404, "message": said, "status": "NOT_FOUND"}})]
    with pytest.raises(EndpointError) as caught:
        await vertex.submit(VEO)
    assert (caught.value.code, caught.value.billed) == ("model_not_found", "no")
    for word in ("location", "access"):
        assert word in caught.value.hint


@pytest.mark.parametrize(
    ("reason", "said", "hint"),
    [
        (
            "SERVICE_DISABLED",
            "Vertex AI API has not been used in project 1",
            "Vertex AI API (aiplatform.googleapis.com)",
        ),
        ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficient scopes", "auth/cloud-platform"),
        (
            "IAM_PERMISSION_DENIED",
            "Permission 'aiplatform.endpoints.predict' denied on resource",
            "roles/aiplatform.user",
        ),
        ("", "Permission 'storage.objects.get' denied on resource", "roles/storage.objectUser"),
        ("", "no", "See which roles the service account in GOOGLE_APPLICATION_CREDENTIALS has"),
    ],
)
async def test_each_refusal_of_the_credential_says_what_to_do(
    vertex: VertexAi, loopback: Loopback, make_reply: MakeReply, reason: str, said: str, hint: str
) -> None:
    details = [{"reason": reason, "metadata": {"service": "aiplatform.googleapis.com"}}] if reason else []
    error = {"code": 403, "message": said, "status": "PERMISSION_DENIED", "details": details}
    loopback.script = [make_reply(status=403, body={"error": error})]
    with pytest.raises(AuthenticationError) as caught:
        await vertex.submit(VEO)
    assert "the service account in GOOGLE_APPLICATION_CREDENTIALS" in caught.value.message
    assert hint in caught.value.hint


async def test_unusable_address_is_refused_by_its_variable(make_vertex: MakeVertex) -> None:
    with pytest.raises(ConfigurationError, match="GOOGLE_VERTEX_BASE_URL"):
        make_vertex("ftp://x.test")
