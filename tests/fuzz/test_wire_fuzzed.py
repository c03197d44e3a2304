"""Whatever Google, a proxy or a bucket answers, it ends in a value or in an error of ours."""

import dataclasses
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.storage.exceptions import InvalidResponse
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.hostile import ODD, TESTS, bodies, holds, odd

from mediagen.endpoints.wire.batches import batch_name, batches_listed, decode_batch
from mediagen.endpoints.wire.chat_completions import decode_chat
from mediagen.endpoints.wire.generate_content import DecodedFailure, DecodedImage, decode_image, picture_in
from mediagen.endpoints.wire.google_errors import parse_error, to_exception
from mediagen.endpoints.wire.inline_media import DAMAGED, InlineMediaScanner
from mediagen.endpoints.wire.interactions import decode_interaction, interaction_id
from mediagen.endpoints.wire.json_values import bytes_from_base64, child, children, count, parse_object, word
from mediagen.endpoints.wire.operation import Operation
from mediagen.endpoints.wire.scrub import excerpt, scrub
from mediagen.endpoints.wire.source_refusals import REFUSALS, find_source_refusal
from mediagen.endpoints.wire.veo import decode_operation, operation_name
from mediagen.storage.gcs_errors import Attempt, is_transient, read_answer, translate


def _captures(start: str) -> list[Any]:
    files = sorted((TESTS / "endpoints" / "wire" / "responses").glob(f"{start}*.json"))
    found = [json.loads(file.read_text())["body"] for file in files]
    assert found
    return found


PICTURES, INTERACTIONS, OPERATIONS = _captures("image_"), _captures("interaction_"), _captures("veo_operation_")
ERRORS = _captures("http_") + _captures("observed_")
CHATS = [
    {
        "choices": [
            {
                "message": {
                    "content": "here",
                    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
                },
                "native_finish_reason": "STOP",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 1290,
            "completion_tokens_details": {"reasoning_tokens": 7},
        },
    }
]
STORED = [
    {
        "error": {
            "code": 403,
            "message": "a@b.com does not have storage.objects.get",
            "errors": [{"reason": "forbidden"}],
        }
    }
]


def can_be_kept(value: Any) -> None:
    """What was decoded goes into the ledger and to the caller: text must be text, numbers must fit into 64 bits."""
    match value:
        case str():
            assert value.encode() is not None
        case int():
            assert abs(value) < 2**63
        case dict():
            can_be_kept(list(value.items()))
        case list() | tuple():
            for inner in value:
                can_be_kept(inner)


def decoded(operation: Operation | None) -> None:
    if operation is not None:
        can_be_kept(list(dataclasses.asdict(operation).values()))


@given(bodies(PICTURES + ERRORS))
def test_any_answer_to_a_picture(body):
    found = holds(decode_image, body, [b"\x89PNG"])
    assert isinstance(found, DecodedImage | DecodedFailure)
    if found.usage:
        can_be_kept(list(dataclasses.asdict(found.usage).values()))
    if isinstance(found, DecodedImage):
        can_be_kept([found.text, found.mime_type])
    else:
        can_be_kept(str(found.error))


@given(bodies(CHATS + PICTURES + ERRORS))
def test_any_answer_of_the_chat_route(body):
    found = holds(decode_chat, body, [b"\x89PNG"])
    assert isinstance(found, DecodedImage | DecodedFailure)
    can_be_kept([found.text, found.mime_type] if isinstance(found, DecodedImage) else str(found.error))


@given(bodies(INTERACTIONS))
def test_any_interaction(body):
    decoded(holds(decode_interaction, body))
    can_be_kept(holds(interaction_id, body))


@given(bodies(OPERATIONS))
def test_any_operation(body):
    decoded(holds(decode_operation, body))
    can_be_kept(holds(operation_name, body))


BATCHES = [
    {
        "name": "batches/1x",
        "metadata": {"state": "BATCH_STATE_SUCCEEDED", "displayName": "mediagen-job-0", "output": output},
        "done": True,
        "response": output,
    }
    for picture in PICTURES
    for output in [{"inlinedResponses": {"inlinedResponses": [{"response": picture}]}}]
]
BATCHES += [
    {"name": "batches/1x", "metadata": {"state": "BATCH_STATE_FAILED"}, "done": True, **error}
    for error in ERRORS
    if isinstance(error, dict)
]


@given(bodies(BATCHES))
def test_any_batch(body):
    decoded(holds(decode_batch, body))
    can_be_kept(holds(batch_name, body))


@given(bodies([{"operations": BATCHES[:3], "nextPageToken": "t"}]))
def test_any_list_of_batches(body):
    found = holds(batches_listed, body)
    if found is not None:
        can_be_kept([*found[0], *found[0].values(), found[1]])


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "date", "x"]),
    st.sampled_from(["120", "9" * 400, "Fri, 21 Nov 2026 12:00:00 GMT", "Mon, 01 Jan 9999 23:59:59 -2359", "1e9"])
    | st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,9} [A-Z][a-z]{2} \d{1,30} \d{1,4}:\d\d:\d\d [+-]\d{1,20}"),
)


@given(bodies(ERRORS), HEADERS, st.sampled_from([200, 302, 400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 599, 999]))
def test_any_error_answer(body, headers, status_code):
    failure = holds(parse_error, status_code, headers, body, secrets=("a secret prompt of ours", "\ud800"))
    can_be_kept(list(dataclasses.asdict(failure).values()))
    for paid in (True, False):
        error = holds(to_exception, failure, paid=paid, key_source="GEMINI_API_KEY", model="veo")
        can_be_kept(str(error))


@given(odd(), st.sampled_from(["a", "tokenCount", ""]))
def test_any_value_read_as_json(value, name):
    for read in (child, children, word, count):
        can_be_kept(holds(read, value, name) if read in (word, count) else None)
        can_be_kept(holds(read, {name: value}, name) if read in (word, count) else None)
    holds(bytes_from_base64, value)
    holds(picture_in, value, [b"first"])


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_read_as_json(body):
    found = holds(parse_object, body)
    assert found is None or isinstance(found, dict)


@given(st.data())
def test_any_document_is_split_the_same_wherever_it_is_cut(data):
    document = data.draw(bodies(OPERATIONS + INTERACTIONS + PICTURES))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(document)), max_size=12)))
    pieces = [document[start:end] for start, end in zip([0, *cuts], [*cuts, len(document)], strict=True)]
    found, whole = _split(pieces), _split([document])
    if DAMAGED.encode() in whole[0]:
        # How much of a damaged file was handed out, and so whether it took a number, hangs on where it was cut.
        assert re.sub(rb"inline:\d+", b"", found[0]) == re.sub(rb"inline:\d+", b"", whole[0])
    else:
        assert found == whole


def _split(pieces: list[bytes]) -> tuple[bytes, dict[int, bytes], int]:
    scanner, files = InlineMediaScanner(), dict[int, bytes]()
    for piece in pieces:
        for number, decoded_bytes in scanner.feed(piece):
            files[number] = files.get(number, b"") + decoded_bytes
    assert scanner.skeleton_size <= sum(map(len, pieces)) + 20 * (1 + sum(piece.count(b'"') for piece in pieces))
    return scanner.skeleton, files, scanner.file_count


@given(
    st.lists(
        st.sampled_from(["http://", "https://a.b/c?", "key=", "AIza", "x" * 30, " ", "\n", "<", "upload ", "edit "])
        | st.sampled_from([row.pattern.pattern[:30] for row in REFUSALS])
        | st.text(max_size=9),
        max_size=40,
    ).map("".join),
    st.lists(st.text(max_size=40), max_size=3),
    st.integers(1, 400),
)
def test_any_text_is_scrubbed_and_cut(text, secrets, times):
    holds(scrub, text * times, secrets)
    holds(find_source_refusal, text * times)
    assert len(holds(excerpt, text * times, 60)) <= 60


@given(bodies(STORED).map(lambda body: body.decode("utf-8", "replace")), st.sampled_from([200, 403, 404, 429, 500]))
def test_any_error_answer_of_a_bucket(text, status_code):
    request = SimpleNamespace(method="GET")
    headers = {"retry-after": "9" * 30}
    response: Any = SimpleNamespace(text=text, status_code=status_code, headers=headers, request=request)
    make: Any = GoogleAPICallError
    for error in (InvalidResponse(response, text), make(text, response=response)):
        answer = holds(read_answer, error)
        can_be_kept([answer.message, answer.reason])
        holds(is_transient, error)
        for verb in ("read", "write"):
            attempt = Attempt(verb=verb, bucket="bucket", name="a.mp4", identity="a@b.com")
            assert str(holds(translate, error, attempt)).encode()


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20] if not isinstance(value, int) else "n")
def test_each_odd_value_for_each_word_of_an_operation(value):
    for capture in OPERATIONS + INTERACTIONS:
        for name in [*capture, *capture.get("response", {}), "error"]:
            response = {**capture.get("response", {}), name: value}
            body = json.dumps({**capture, name: value}).encode()
            decoded(holds(decode_operation, body))
            decoded(holds(decode_interaction, body))
            decoded(holds(decode_operation, json.dumps({**capture, "response": response}).encode()))
