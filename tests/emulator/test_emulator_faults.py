"""Scripted faults and magic words."""

import base64
import json
from typing import Any

import httpx
import pytest

from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import ConfigurationError

MODEL = "gemini-nano-banana-2.1"
SMALL = {"imageConfig": {"imageSize": "512"}}


def draw(client: httpx.Client, prompt: str = "a cat") -> httpx.Response:
    body = {"contents": [{"parts": [{"text": prompt}]}], "generationConfig": SMALL}
    return client.post(f"/v1/models/{MODEL}:generateContent", json=body)


@pytest.mark.parametrize(
    ("preset", "status_code", "words"),
    [
        ("rate_limit", 429, '"retryDelay":"26s"'),
        ("overloaded", 503, "The model is overloaded"),
        ("prepay_depleted", 429, "prepayment credits are depleted"),
        ("quota_zero", 429, "limit: 0"),
        ("html_502", 502, "<html>"),
        ("array_error", 403, '[{"error"'),
        ("empty_200", 200, ""),
    ],
)
def test_status_preset_happens_once_and_is_not_billed(
    client: httpx.Client, emulator: EmulatorHandle, preset: Any, status_code: Any, words: Any
) -> None:
    client.post("/emulator/faults", json={"fault": "status", "preset": preset}).raise_for_status()
    answer = draw(client)
    assert answer.status_code == status_code
    assert words in answer.text
    assert emulator.bill()["paid_submissions"] == 0
    assert draw(client).json()["candidates"]


def test_own_status_and_body_and_the_match_are_honoured(client: httpx.Client, emulator: EmulatorHandle) -> None:
    match = {"method": "POST", "path_contains": "interactions"}
    emulator.add_fault(fault="status", status=418, body={"x": 1}, match=match, times=2)
    assert draw(client).status_code == 200
    answers = [client.post("/v1/interactions", json={}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [418, 418, 400]
    assert answers[0].json() == {"x": 1}


def test_drop_after_accept_bills_once_and_answers_nothing(
    client: httpx.Client, clips: Any, emulator: EmulatorHandle
) -> None:
    emulator.add_fault(fault="drop_after_accept", times=2)
    with pytest.raises(httpx.TransportError):
        draw(client)
    with pytest.raises(httpx.TransportError):
        clips.order()
    assert [item["kind"] for item in emulator.bill()["items"]] == ["image", "video"]


def test_drop_before_does_nothing_at_all(client: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="drop_before")
    with pytest.raises(httpx.TransportError):
        draw(client)
    assert (emulator.bill()["paid_submissions"], len(emulator.requests())) == (0, 1)


def test_delay_holds_the_answer_back(client: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="delay", seconds=0.2)
    assert client.get("/v1/models").elapsed.total_seconds() >= 0.2


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "NO_IMAGE", "MAX_TOKENS", "SOME_FUTURE_REASON"])
def test_image_finish_gives_a_candidate_without_content(
    client: httpx.Client, emulator: EmulatorHandle, reason: Any
) -> None:
    emulator.add_fault(fault="image_finish", reason=reason)
    candidate = draw(client).json()["candidates"][0]
    assert (candidate["finishReason"], "content" in candidate) == (reason, False)
    assert emulator.bill()["paid_submissions"] == 0


def test_odd_pictures(client: httpx.Client, emulator: EmulatorHandle) -> None:
    def parts(fault: str) -> list[dict[str, Any]]:
        emulator.add_fault(fault=fault)
        listed: list[dict[str, Any]] = draw(client).json()["candidates"][0]["content"]["parts"]
        return listed

    assert parts("text_only") == [{"text": "I cannot draw that."}]
    assert parts("thought_parts")[0]["thought"] is True
    assert sum("inlineData" in part for part in parts("two_images")) == 2
    with pytest.raises(ValueError, match=r"base64|padding|digit"):
        base64.b64decode(parts("bad_base64")[-1]["inlineData"]["data"], validate=True)
    emulator.add_fault(fault="prompt_blocked", reason="SAFETY")
    assert draw(client).json()["promptFeedback"]["blockReason"] == "SAFETY"


@pytest.mark.parametrize(
    ("fault", "status", "billed"),
    [
        ("video_refused_text_only", "completed", 1),
        ("video_failed", "failed", 0),
        ("video_blocked", "failed", 0),
        ("completed_without_video", "completed", 1),
    ],
)
def test_clip_ends_without_a_video(clips: Any, emulator: EmulatorHandle, fault: Any, status: Any, billed: Any) -> None:
    emulator.add_fault(fault=fault)
    done = clips.wait(clips.order())
    assert done["status"] == status
    assert '"video/mp4"' not in json.dumps(done)
    assert emulator.bill()["paid_submissions"] == billed


def test_failure_codes_are_googles(clips: Any, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="video_failed", code="resource_exhausted")
    emulator.add_fault(fault="video_blocked")
    codes = [clips.wait(clips.order())["errors"][0]["code"] for _ in range(2)]
    assert codes == ["resource_exhausted", "https://ai.google.dev/errors/blocked"]


def test_unknown_status_ends_after_the_given_polls(clips: Any, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="unknown_status", status="pondering", polls=40)
    ordered = clips.order()
    assert clips.wait(ordered)["status"] == "pondering"
    for _ in range(50):
        done = clips.get(ordered.json()["id"])
    assert done["status"] == "completed"


def test_magic_word_in_the_prompt_hits_that_request_only(
    client: httpx.Client, clips: Any, emulator: EmulatorHandle
) -> None:
    assert draw(client, "a cat [[fault:overloaded]]").status_code == 503
    assert draw(client, "[[fault:IMAGE_SAFETY]]").json()["candidates"][0]["finishReason"] == "IMAGE_SAFETY"
    assert draw(client, "[[fault:nonsense]]").json()["candidates"][0]["finishReason"] == "STOP"
    assert clips.wait(clips.order("[[fault:video_blocked]] x"))["status"] == "failed"
    uri = clips.uri(clips.order("x [[fault:cut_download=100]]"))
    with pytest.raises(httpx.TransportError):
        client.get(uri)
    assert client.get(uri).status_code == 200


@pytest.mark.parametrize("script", [{"fault": "earthquake"}, {"fault": "status"}, {"fault": "delay", "seconds": "x"}])
def test_nonsense_script_is_refused(client: httpx.Client, emulator: EmulatorHandle, script: Any) -> None:
    assert client.post("/emulator/faults", json=script).status_code == 400
    with pytest.raises(ConfigurationError):
        emulator.add_fault(**script)


def test_faults_are_listed_and_cleared(client: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="delay", seconds=60)
    assert client.get("/emulator/faults").json()[0]["fault"] == "delay"
    client.delete("/emulator/faults")
    assert client.get("/v1/models").status_code == 200


def test_magic_word_of_an_earlier_turn_is_spent(client: httpx.Client) -> None:
    turns = [{"parts": [{"text": "[[fault:overloaded]]"}]}, {"parts": [{"text": "again"}]}]
    answer = client.post(f"/v1/models/{MODEL}:generateContent", json={"contents": turns, "generationConfig": SMALL})
    assert answer.status_code == 200


def test_several_faults_are_scripted_at_once_and_reset_forgets_them(
    client: httpx.Client, emulator: EmulatorHandle
) -> None:
    scripts = [{"fault": "overloaded"}, {"fault": "html_502"}]
    client.post("/emulator/faults", json={"faults": scripts}).raise_for_status()
    assert [client.get("/v1/models").status_code for _ in range(1)] == [503]
    client.post("/emulator/reset").raise_for_status()
    assert client.get("/v1/models").status_code == 200
    assert len(emulator.requests()) == 1
