"""Google's own SDK talks to the emulator and notices nothing."""

import base64
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from PIL import Image

from mediagen.emulator.ffmpeg import Probe
from mediagen.emulator.thread import EmulatorHandle

IMAGE_MODEL = "gemini-nano-banana-2.1"
OMNI = "gemini-omni-1.2-flash"
FORMAT = {"type": "video", "resolution": "360p", "duration": "3s", "delivery": "uri"}


@pytest.fixture
def sdk(emulator: EmulatorHandle) -> Iterator[genai.Client]:
    with genai.Client(api_key="AQ.test", http_options=types.HttpOptions(base_url=emulator.url)) as client:
        yield client


def create(sdk: genai.Client, content: Any, task: str | None = None, **extra: Any) -> Any:
    if task:
        extra["generation_config"] = {"video_config": {"task": task}}
    arguments = {"model": OMNI, "input": content, "background": True, "store": True, "response_format": FORMAT}
    return sdk.interactions.create(**(arguments | extra))


def finish(sdk: genai.Client, interaction: Any) -> Any:
    deadline = time.monotonic() + 60
    while interaction.status == "in_progress":
        assert time.monotonic() < deadline
        time.sleep(0.02)
        interaction = sdk.interactions.get(interaction.id)
    assert interaction.status == "completed", interaction
    return interaction


def download(sdk: genai.Client, interaction: Any) -> bytes:
    # the SDK takes only https addresses for file addresses, so the emulator's is given by name
    name = finish(sdk, interaction).output_video.uri.rpartition("/")[2].partition(":")[0]
    content = sdk.files.download(file=f"files/{name}")
    assert isinstance(content, bytes)
    return content


def image_block(content: str) -> dict[str, str]:
    return {"type": "image", "mime_type": "image/png", "data": content}


def test_generate_content_returns_the_picture_that_was_asked_for(sdk: Any, png: Callable[..., bytes]) -> None:
    inputs = [types.Part.from_bytes(data=png(colour), mime_type="image/png") for colour in ("red", "blue")]
    answer = sdk.models.generate_content(
        model=IMAGE_MODEL,
        contents=[*inputs, "put A next to B"],
        config=types.GenerateContentConfig(
            seed=7,
            response_modalities=["TEXT", "IMAGE"],
            image_config=types.ImageConfig(aspect_ratio="21:9", image_size="2K"),
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.HIGH),
            safety_settings=[
                types.SafetySetting(
                    category=types.HarmCategory.HARM_CATEGORY_DANGEROUS_CONTENT,
                    threshold=types.HarmBlockThreshold.BLOCK_ONLY_HIGH,
                )
            ],
            tools=[types.Tool(google_search=types.GoogleSearch())],
        ),
    )
    candidate = answer.candidates[0]
    assert candidate.finish_reason == types.FinishReason.STOP
    picture = candidate.content.parts[-1]
    assert picture.inline_data.mime_type == "image/jpeg"
    assert Image.open(io.BytesIO(picture.inline_data.data)).size == (3168, 1344)
    assert answer.usage_metadata.candidates_tokens_details[0].token_count == 1680


def test_chat_replays_its_first_picture_in_the_second_turn(sdk: Any) -> None:
    chat = sdk.chats.create(model=IMAGE_MODEL)
    first = chat.send_message("a red cube")
    second = chat.send_message("make it blue")
    assert first.candidates[0].content.parts[-1].thought_signature
    assert (
        second.candidates[0].content.parts[-1].inline_data.data
        != first.candidates[0].content.parts[-1].inline_data.data
    )


def test_text_clip_is_created_polled_and_downloaded(sdk: Any, probe_bytes: Callable[[bytes], Probe]) -> None:
    created = create(sdk, "a cat", "text_to_video", labels={"job": "j1"})
    assert created.status == "in_progress"
    assert created.id.startswith("v1_")
    film = probe_bytes(download(sdk, created))
    assert (film.width, film.height, film.duration_seconds) == (640, 360, 3.0)
    assert finish(sdk, created).usage.output_tokens_by_modality[0].tokens == 5793


def test_image_first_last_and_reference_clips_complete(
    sdk: Any, png: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    red, blue = image_block(b64(png("red"))), image_block(b64(png("blue")))
    contents = [
        ([red, {"type": "text", "text": "<FIRST_FRAME> spin"}], "image_to_video"),
        ([red, blue, {"type": "text", "text": "[# Sources <FIRST_FRAME>@Image1 <LAST_FRAME>@Image2] morph"}], None),
        ([red, blue, {"type": "text", "text": "[# References <IMAGE_REF_0>@Image1] x"}], "reference_to_video"),
    ]
    created = [create(sdk, [{"type": "user_input", "content": content}], task) for content, task in contents]
    for interaction in created:
        assert finish(sdk, interaction).output_video.uri.endswith(":download?alt=media")


def test_clip_is_extended_by_interaction_and_by_uploaded_file(sdk: Any, probe_bytes: Callable[[bytes], Probe]) -> None:
    first = finish(sdk, create(sdk, "a cat"))
    longer = create(sdk, "Extend this video: night falls.", "extend", previous_interaction_id=first.id)
    assert probe_bytes(download(sdk, longer)).duration_seconds == 6.0
    file = sdk.files.upload(file=io.BytesIO(download(sdk, first)), config={"mime_type": "video/mp4"})
    while file.state != types.FileState.ACTIVE:
        time.sleep(0.02)
        file = sdk.files.get(name=file.name)
    video = {"type": "video", "mime_type": "video/mp4", "uri": file.uri}
    content = [{"type": "user_input", "content": [video, {"type": "text", "text": "Continue."}]}]
    assert probe_bytes(download(sdk, create(sdk, content, "extend"))).duration_seconds == 6.0


def test_clip_arrives_inline_when_the_call_waits(sdk: Any, probe_bytes: Callable[[bytes], Probe]) -> None:
    wanted = {"type": "video", "resolution": "360p", "duration": "3s"}
    done = sdk.interactions.create(model=OMNI, input="a cat", response_format=wanted)
    assert done.status == "completed"
    assert probe_bytes(base64.b64decode(done.output_video.data)).fps == 24


def test_interaction_is_cancelled_and_deleted(sdk: Any, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="stuck")
    created = create(sdk, "a cat")
    assert sdk.interactions.cancel(created.id).status == "cancelled"
    sdk.interactions.delete(created.id)
    with pytest.raises(Exception, match="Invalid interaction name"):
        sdk.interactions.get(created.id)


def test_files_are_listed_described_and_deleted(sdk: Any, png: Callable[..., bytes]) -> None:
    file = sdk.files.upload(file=io.BytesIO(png()), config={"mime_type": "image/png", "display_name": "red"})
    assert [listed.name for listed in sdk.files.list()] == [file.name]
    assert sdk.files.get(name=file.name).display_name == "red"
    sdk.files.delete(name=file.name)
    with pytest.raises(errors.ClientError, match="may not exist"):
        sdk.files.get(name=file.name)


def test_large_file_is_uploaded_in_chunks(sdk: Any, emulator: EmulatorHandle) -> None:
    content = bytes(range(256)) * (9 * 4096)
    file = sdk.files.upload(file=io.BytesIO(content), config={"mime_type": "application/octet-stream"})
    assert file.size_bytes == len(content)
    assert [request["path"] for request in emulator.requests()].count("/upload/v1/files") == 3


def test_models_are_listed_shown_and_counted_for(sdk: Any) -> None:
    names = [model.name for model in sdk.models.list(config={"page_size": 3})]
    assert {f"models/{IMAGE_MODEL}", f"models/{OMNI}"} <= set(names)
    assert "generateContent" in sdk.models.get(model=IMAGE_MODEL).supported_actions
    assert sdk.models.count_tokens(model="gemini-3.8-flash", contents="hello world!").total_tokens == 3


def test_unknown_model_and_bad_ratio_raise_the_sdks_errors(sdk: Any) -> None:
    with pytest.raises(errors.ClientError) as missing:
        sdk.models.generate_content(model="gemini-9-image", contents="x")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    config = types.GenerateContentConfig(image_config=types.ImageConfig(aspect_ratio="7:3"))
    with pytest.raises(errors.ClientError) as wrong:
        sdk.models.generate_content(model=IMAGE_MODEL, contents="x", config=config)
    assert (wrong.value.code, wrong.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(Exception, match="between 3s and 15s"):
        create(sdk, "a cat", response_format=FORMAT | {"duration": "16s"})


def sent_in(sdk: genai.Client, content: bytes) -> Any:
    """Upload a film and give the block that names it."""
    file: Any = sdk.files.upload(file=io.BytesIO(content), config={"mime_type": "video/mp4"})
    deadline = time.monotonic() + 60
    while file.state != types.FileState.ACTIVE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        file = sdk.files.get(name=file.name)
    return {"type": "video", "mime_type": "video/mp4", "uri": file.uri}


def test_uploaded_clip_is_edited(
    sdk: Any, make_film: Callable[..., bytes], probe_bytes: Callable[[bytes], Probe]
) -> None:
    content = [sent_in(sdk, make_film()), {"type": "text", "text": "make it snow"}]
    edited = create(sdk, [{"type": "user_input", "content": content}], "edit", response_format={"type": "video"})
    assert probe_bytes(base64.b64decode(finish(sdk, edited).output_video.data)).duration_seconds == 3.0


@pytest.mark.parametrize("task", ["extend", "edit"])
def test_refusals_of_a_source_arrive_as_the_sdks_errors(
    sdk: Any, emulator: EmulatorHandle, make_film: Callable[..., bytes], task: str
) -> None:
    def refused(block: Any, words: str, status_code: int = 400) -> None:
        with pytest.raises(Exception, match=words) as raised:
            create(sdk, [{"type": "user_input", "content": [block, {"type": "text", "text": "on"}]}], task)
        assert getattr(raised.value, "status_code", 0) == status_code

    good = sent_in(sdk, make_film())
    refused(sent_in(sdk, make_film(fps="25")), "Video fps mismatch. Expected: 24 got: 25")
    refused(sent_in(sdk, make_film(codec="mpeg4")), "only MP4 with H.264")
    refused(good | {"uri": "https://example.org/film.mp4"}, "video is empty")
    emulator.add_fault(fault="region")
    refused(good, "User location is not supported")
    emulator.age_files(48 * 3600)
    refused(good, "may not exist", 403)
    assert emulator.bill()["paid_submissions"] == 0
