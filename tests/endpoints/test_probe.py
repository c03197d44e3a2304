import json
from collections.abc import Callable
from typing import Any

import pytest

from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.vertex_ai import VertexAi

Answers = Callable[[str], tuple[int, bytes]]
Loopback = Any
MakeReply = Callable[..., Any]

BODY = {
    "contents": [{"role": "user", "parts": [{"text": "a prompt that stays here"}]}],
    "generationConfig": {"imageConfig": {"imageSize": "2K"}},
}
UNKNOWN = "Invalid JSON payload received. Unknown name \"{}\" at 'generation_config{}': Cannot find field."
SENTINEL = UNKNOWN.format("mediagenProbe", "")


def refusal(message: str, *violations: str) -> dict[str, Any]:
    details = [{"fieldViolations": [{"field": "generation_config", "description": text} for text in violations]}]
    return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT", "details": details}}


async def test_probe_sends_a_body_that_cannot_be_carried_out(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply
) -> None:
    loopback.script = [make_reply(status=400, body=refusal(SENTINEL, SENTINEL))]
    found = await api.probe("gemini-nano-banana-2.1", BODY)
    (request,) = loopback.received
    assert request.target == "/v1beta/models/gemini-nano-banana-2.1:generateContent"
    sent = json.loads(request.body)
    assert sent == {
        "contents": [],
        "generationConfig": {"imageConfig": {"imageSize": "2K"}, "mediagenProbe": True},
    }
    assert (found.accepted, found.refused_fields) == (True, ())
    assert "not that the model" in found.message


async def test_probe_of_vertex_goes_to_the_project(vertex: VertexAi, loopback: Loopback, make_reply: MakeReply) -> None:
    loopback.script = [make_reply(status=400, body=refusal(SENTINEL))]
    assert (await vertex.probe("gemini-nano-banana-2.1", BODY)).accepted is True
    model = "/v1beta1/projects/film-project/locations/us-central1/publishers/google/models/gemini-nano-banana-2.1"
    assert loopback.received[0].target == f"{model}:generateContent"


async def test_probe_names_the_fields_that_google_does_not_know(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply
) -> None:
    other = UNKNOWN.format("imageSize", ".image_config")
    invalid = "Invalid value at 'generation_config.response_format.image.aspect_ratio' (X), \"16:9\""
    loopback.script = [make_reply(status=400, body=refusal(f"{SENTINEL}\n{other}\n{invalid}", SENTINEL, other))]
    found = await api.probe("m", BODY)
    assert found.accepted is False
    assert found.refused_fields == (
        "generation_config.image_config.imageSize",
        "generation_config.response_format.image.aspect_ratio",
    )


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 200, "body": {"candidates": []}},
        {"status": 200, "body": b"<html>"},
        {"status": 404, "body": {"error": {"message": "no such model"}}},
        {"status": 401, "body": {"error": {"message": "no"}}},
        {"status": 429, "body": {"error": {"message": "slow"}}},
        {"status": 503, "body": b""},
        {"status": 302, "headers": {"Location": "https://elsewhere.test"}},
        {"status": 400, "body": refusal("API key not valid. Please pass a valid API key.")},
        {"status": 400, "body": b"<html>bad request</html>"},
        {"hang_up": True},
    ],
)
async def test_probe_stops_at_any_other_answer_and_is_not_repeated(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, reply: dict[str, Any]
) -> None:
    loopback.answer = lambda _: make_reply(**reply)
    found = await api.probe("m", BODY)
    assert (found.accepted, found.refused_fields) == (None, ())
    assert found.message.startswith("Stopped: ")
    assert len(loopback.received) == 1


@pytest.mark.parametrize(
    "body", [{"model": "gemini-omni-1.2-flash", "input": "x"}, {"instances": [{"prompt": "x"}], "parameters": {}}, {}]
)
async def test_body_that_could_be_carried_out_all_the_same_is_never_sent(
    api: GeminiApi, vertex: VertexAi, loopback: Loopback, body: dict[str, Any]
) -> None:
    for surface in (api, vertex):
        found = await surface.probe("m", body)
        assert found.accepted is None
        assert found.message.startswith("Not tried")
    assert not loopback.received
