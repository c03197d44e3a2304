"""Google's own SDK has batches made by the emulator and notices nothing."""

import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types
from PIL import Image

from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator

MODEL = "gemini-nano-banana-2.1"
CONFIG = {"response_modalities": ["TEXT", "IMAGE"], "image_config": {"aspect_ratio": "16:9", "image_size": "1K"}}
HEADERS = {"x-goog-api-key": "AQ.test"}


@pytest.fixture
def slow() -> Iterator[EmulatorHandle]:
    """One whose batches are over in a minute, unless time is made to pass."""
    with running_emulator(EmulatorSettings(batch_seconds=30.0, open_batches=2)) as handle:
        yield handle


@pytest.fixture
def sdk(slow: EmulatorHandle) -> Iterator[genai.Client]:
    with genai.Client(api_key="AQ.test", http_options=types.HttpOptions(base_url=slow.url)) as client:
        yield client


def asked(text: str) -> Any:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], "config": CONFIG}


def create(sdk: genai.Client, *prompts: str, name: str = "two") -> types.BatchJob:
    return sdk.batches.create(model=MODEL, src=[asked(text) for text in prompts], config={"display_name": name})


def age(slow: EmulatorHandle, seconds: float) -> None:
    httpx.post(f"{slow.url}/emulator/age", json={"seconds": seconds}).raise_for_status()


def test_batch_goes_through_its_states_and_ends_with_an_answer_to_each_request(
    sdk: genai.Client, slow: EmulatorHandle
) -> None:
    made = create(sdk, "a fox", "a hat [[fault:batch_error=4]]", "x [[fault:prompt_blocked]]")
    assert made.name is not None
    assert made.name.startswith("batches/")
    assert (made.state, made.display_name) == (types.JobState.JOB_STATE_PENDING, "two")
    age(slow, 31)
    assert sdk.batches.get(name=made.name).state == types.JobState.JOB_STATE_RUNNING
    age(slow, 31)
    done = sdk.batches.get(name=made.name)
    assert done.state == types.JobState.JOB_STATE_SUCCEEDED
    assert done.model == f"models/{MODEL}"
    assert done.end_time is not None
    assert done.dest is not None
    assert done.dest.inlined_responses is not None
    fox, hat, blocked = done.dest.inlined_responses
    assert fox.response is not None
    assert fox.response.parts is not None
    picture = fox.response.parts[-1].inline_data
    assert picture is not None
    assert Image.open(io.BytesIO(picture.data or b"")).size == (1376, 768)
    assert hat.error is not None
    assert (hat.error.code, hat.response) == (4, None)
    assert blocked.response is not None
    assert blocked.response.prompt_feedback is not None
    bill = slow.bill()
    # Half of 1120 tokens at 30 dollars a million, and of the words; what failed or was blocked costs nothing.
    assert bill["paid_submissions"] == 1
    assert 0.0168 < float(bill["usd"]) < 0.0169


def test_batches_are_listed_newest_first_in_pages(sdk: genai.Client) -> None:
    names = [create(sdk, "a fox", name=name).name for name in ("one", "two")]
    listed = list(sdk.batches.list(config={"page_size": 1}))
    assert [batch.name for batch in listed] == names[::-1]
    assert [batch.display_name for batch in listed] == ["two", "one"]


def test_batch_is_cancelled_and_forgotten(sdk: genai.Client, slow: EmulatorHandle) -> None:
    made = create(sdk, "a fox")
    assert made.name is not None
    sdk.batches.cancel(name=made.name)
    assert sdk.batches.get(name=made.name).state == types.JobState.JOB_STATE_CANCELLED
    assert slow.bill()["paid_submissions"] == 0
    sdk.batches.delete(name=made.name)
    with pytest.raises(errors.ClientError) as refused:
        sdk.batches.get(name=made.name)
    assert refused.value.code == 404


@pytest.mark.parametrize(("fault", "state"), [("batch_failed", "FAILED"), ("batch_expired", "EXPIRED")])
def test_batch_that_comes_to_nothing_says_so(sdk: genai.Client, slow: EmulatorHandle, fault: str, state: str) -> None:
    made = create(sdk, f"a fox [[fault:{fault}]]")
    assert made.name is not None
    age(slow, 61)
    assert sdk.batches.get(name=made.name).state == types.JobState(f"JOB_STATE_{state}")
    assert slow.bill()["paid_submissions"] == 0


def test_one_batch_too_many_is_refused(sdk: genai.Client) -> None:
    create(sdk, "a fox")
    create(sdk, "a hat")
    with pytest.raises(errors.ClientError) as refused:
        create(sdk, "a tin")
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")


GOOD = {"request": {"contents": [{"parts": [{"text": "x"}]}]}}


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"displayName": "x", "inputConfig": {"requests": {"requests": [GOOD]}}, "prio": 1}, 'Unknown name "prio"'),
        ({"displayName": "x", "inputConfig": {"requests": [GOOD]}}, "expected an object"),
        ({"displayName": "x", "inputConfig": {"requests": {"requests": [{**GOOD, "key": "a"}]}}}, 'Unknown name "key"'),
        (
            {"displayName": "x", "inputConfig": {"requests": {"requests": [{"request": {"prompt": "x"}}]}}},
            'Unknown name "prompt"',
        ),
        ({"inputConfig": {"requests": {"requests": [GOOD]}}}, "display_name"),
        ({"displayName": "x", "inputConfig": {"requests": {"requests": []}}}, "no requests"),
    ],
)
def test_body_that_google_would_not_take_is_refused(slow: EmulatorHandle, batch: dict[str, Any], said: str) -> None:
    url = f"{slow.url}/v1beta/models/{MODEL}:batchGenerateContent"
    answer = httpx.post(url, json={"batch": batch}, headers=HEADERS)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_model_without_batches_is_not_found(slow: EmulatorHandle) -> None:
    url = f"{slow.url}/v1beta/models/gemini-omni-1.2-flash:batchGenerateContent"
    body = {"batch": {"displayName": "x", "inputConfig": {"requests": {"requests": [GOOD]}}}}
    assert httpx.post(url, json=body, headers=HEADERS).status_code == 404


def test_request_that_the_model_cannot_fulfil_fails_alone(slow: EmulatorHandle) -> None:
    """Only the fields are checked when a batch is made."""
    wrong = {"request": {**GOOD["request"], "generationConfig": {"imageConfig": {"imageSize": "9K"}}}}
    url = f"{slow.url}/v1beta"
    body = {"batch": {"displayName": "x", "inputConfig": {"requests": {"requests": [wrong, GOOD]}}}}
    made = httpx.post(f"{url}/models/{MODEL}:batchGenerateContent", json=body, headers=HEADERS).json()
    age(slow, 61)
    deadline = time.monotonic() + 10
    while not (shown := httpx.get(f"{url}/{made['name']}", headers=HEADERS).json()).get("done"):
        assert time.monotonic() < deadline
    first, second = shown["response"]["inlinedResponses"]["inlinedResponses"]
    assert first["error"]["code"] == 3
    assert "9K" in first["error"]["message"]
    assert second["response"]["candidates"]
    assert shown["metadata"]["output"]["inlinedResponses"]["inlinedResponses"] == [first, second]
