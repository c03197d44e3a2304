"""Batches of one request: what is sent, and what the answers mean."""

import json
from typing import Any

import pytest

from mediagen.endpoints.wire.batches import (
    batch_name,
    batches_listed,
    decode_batch,
    encode_batch,
    renamed,
)
from mediagen.errors import UnavailableError

NAME = "batches/1x2y3z"
BODY = {"contents": [{"role": "user", "parts": [{"text": "a fox"}]}]}
ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": "inline:1"}}]},
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 2,
        "candidatesTokenCount": 1120,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
    },
}
DRAFT = {"thought": True, "inlineData": {"mimeType": "image/png", "data": "inline:0"}}


def batch(state: str, *, prefix: str = "BATCH_STATE_", **more: Any) -> dict[str, Any]:
    metadata = {"state": f"{prefix}{state}", "name": NAME, "displayName": "mediagen-job-0", **more.pop("metadata", {})}
    return {"name": NAME, "metadata": metadata, **more}


def answers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"inlinedResponses": {"inlinedResponses": list(items)}}


def decoded(value: Any) -> Any:
    return decode_batch(json.dumps(value).encode())


def test_body_is_what_googles_library_sends():
    body = encode_batch(BODY, "mediagen-job-0")
    assert body == {
        "batch": {"displayName": "mediagen-job-0", "inputConfig": {"requests": {"requests": [{"request": BODY}]}}}
    }
    other = renamed(body, "mediagen-job-1")
    assert (body["batch"]["displayName"], other["batch"]["displayName"]) == ("mediagen-job-0", "mediagen-job-1")
    assert other["batch"]["inputConfig"] == body["batch"]["inputConfig"]


@pytest.mark.parametrize(
    ("body", "name"),
    [(b'{"name": "batches/a"}', "batches/a"), (b'{"name": "models/a"}', ""), (b"{}", ""), (b"<html>", "")],
)
def test_name_of_a_batch_that_was_made(body: bytes, name: str):
    assert batch_name(body) == name


@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_"])
@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "UNSPECIFIED", "QUEUED", "SOMETHING_NEW"])
def test_batch_that_is_not_over_is_running(prefix: str, state: str):
    assert decoded(batch(state, prefix=prefix)).state == "running"
    assert decoded({"name": NAME}).state == "running"


@pytest.mark.parametrize(
    "output",
    [
        {"response": answers({"response": ANSWER})},
        {"metadata": {"output": answers({"response": ANSWER})}},
        {"response": answers({"response": ANSWER}), "metadata": {"output": answers({"response": ANSWER})}},
        {"response": {"inlinedResponses": [{"response": ANSWER}]}},
    ],
)
@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_"])
def test_picture_is_found_wherever_google_puts_it(output: dict[str, Any], prefix: str):
    found = decoded(batch("SUCCEEDED", prefix=prefix, done=True, **output))
    assert (found.name, found.state) == (NAME, "completed")
    assert [(file.inline, file.mime_type, file.uri) for file in found.outputs] == [(1, "image/png", None)]
    assert (found.usage.input_tokens, found.usage.output_image_tokens) == (2, 1120)


def test_drafts_of_the_thinking_are_no_pictures():
    parts = [DRAFT, *ANSWER["candidates"][0]["content"]["parts"]]
    answer = {**ANSWER, "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    found = decoded(batch("SUCCEEDED", done=True, response=answers({"response": answer})))
    assert [file.inline for file in found.outputs] == [1]


@pytest.mark.parametrize(
    ("value", "state", "code", "billed"),
    [
        (batch("CANCELLED", done=True), "cancelled", "cancelled", "unknown"),
        (batch("EXPIRED", done=True), "failed", "batch_expired", "unknown"),
        (batch("FAILED", done=True, error={"code": 13, "message": "x"}), "failed", "unavailable", "unknown"),
        (batch("FAILED", done=True, error={"code": 3, "message": "x"}), "failed", "invalid_argument", "no"),
        (batch("FAILED", done=True, error={"code": 1, "message": "x"}), "cancelled", "cancelled", "unknown"),
        (batch("FAILED", done=True), "failed", "batch_failed", "unknown"),
        (batch("SUCCEEDED", done=True), "failed", "batch_failed", "unknown"),
        (batch("SUCCEEDED", done=True, response=answers()), "failed", "batch_failed", "unknown"),
        (
            batch("SUCCEEDED", done=True, response=answers({"error": {"code": 4, "message": "Deadline expired."}})),
            "failed",
            "unavailable",
            "unknown",
        ),
        (
            batch("SUCCEEDED", done=True, response=answers({"error": {"code": 8, "message": "Quota."}})),
            "failed",
            "rate_limited",
            "no",
        ),
        (
            batch("SUCCEEDED", response=answers({"response": {"promptFeedback": {"blockReason": "SAFETY"}}})),
            "filtered",
            "prompt_blocked",
            "no",
        ),
        (
            batch("SUCCEEDED", response=answers({"response": {"candidates": [{"finishReason": "NO_IMAGE"}]}})),
            "failed",
            "no_image",
            "unknown",
        ),
    ],
)
def test_what_came_to_nothing_says_why(value: dict[str, Any], state: str, code: str, billed: str):
    found = decoded(value)
    assert found.outputs == ()
    assert (found.state, found.error.code, found.error.billed) == (state, code, billed)


def test_damaged_picture_was_paid_for_and_is_not_asked_for_again():
    text = json.dumps(batch("SUCCEEDED", done=True, response=answers({"response": ANSWER})))
    found = decode_batch(text.replace("inline:1", "inline:damaged").encode())
    assert (found.state, found.error and found.error.code) == ("failed", "bad_base64")
    assert found.error is not None
    assert found.error.billed == "yes"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"candidates": []}'])
def test_answer_about_something_else_is_asked_for_again(body: bytes):
    with pytest.raises(UnavailableError):
        decode_batch(body)


def test_list_of_batches_gives_googles_names_by_ours():
    page = {"operations": [batch("RUNNING", metadata={"displayName": "other"}), batch("SUCCEEDED")]}
    listed = {"other": NAME, "mediagen-job-0": NAME}
    assert batches_listed(json.dumps(page).encode()) == (listed, "")
    assert batches_listed(json.dumps({**page, "nextPageToken": "t"}).encode()) == (listed, "t")
    assert batches_listed(b"{}") == ({}, "")
    with pytest.raises(UnavailableError):
        batches_listed(b"<html>")
