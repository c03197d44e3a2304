"""Google's own SDK talks to the emulated Vertex AI and notices nothing."""

import base64
import io
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2 import service_account
from PIL import Image

from mediagen.emulator.ffmpeg import Probe, find_ffmpeg
from mediagen.emulator.thread import EmulatorHandle

IMAGE_MODEL = "gemini-nano-banana-2.1"
OMNI = "gemini-omni-1.2-flash"
VEO, FAST, LITE = "veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"
WAIT_SECONDS = 60.0


@pytest.fixture(scope="session")
def account(shared_emulator: EmulatorHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_emulator.service_account_file(tmp_path_factory.mktemp("keys") / "account.json")


@pytest.fixture
def sdk(emulator: EmulatorHandle, account: Path) -> Iterator[genai.Client]:
    credentials: Any = service_account.Credentials
    signed = credentials.from_service_account_file(
        str(account), scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    options = types.HttpOptions(base_url=emulator.url)
    with genai.Client(
        vertexai=True,
        project="test-project",
        location="us-central1",
        credentials=signed.with_quota_project("paying-project"),
        http_options=options,
    ) as client:
        yield client


@pytest.fixture
def express(emulator: EmulatorHandle) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=emulator.url)
    with genai.Client(vertexai=True, api_key="AQ.express", http_options=options) as client:
        yield client


@pytest.fixture
def frame(png: Callable[..., bytes]) -> Callable[..., types.Image]:
    def make(colour: str = "red") -> types.Image:
        return types.Image(image_bytes=png(colour), mime_type="image/png")

    return make


def film(sdk: genai.Client, *, model: str = LITE, source: Any = None, **config: Any) -> Any:
    """Order clips and wait for them."""
    config = {"duration_seconds": 4} | config
    operation = sdk.models.generate_videos(
        model=model,
        source=source or types.GenerateVideosSource(prompt="a cat"),
        config=types.GenerateVideosConfig(**config),
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while not operation.done:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        operation = sdk.operations.get(operation)
    assert operation.error is None, operation.error
    return operation.response


def test_service_account_draws_a_picture_on_the_project_path(sdk: Any, emulator: EmulatorHandle) -> None:
    answer = sdk.models.generate_content(
        model=IMAGE_MODEL,
        contents="a red cube",
        config=types.GenerateContentConfig(
            labels={"team": "x"},
            image_config=types.ImageConfig(
                aspect_ratio="16:9", image_size="1K", person_generation="ALLOW_ADULT", output_mime_type="image/png"
            ),
        ),
    )
    picture = answer.candidates[0].content.parts[-1].inline_data
    assert picture.mime_type == "image/png"
    assert Image.open(io.BytesIO(picture.data)).size == (1376, 768)
    sent = emulator.requests()[-1]
    assert sent["path"].startswith("/v1beta1/projects/test-project/locations/us-central1/publishers/google/models/")
    assert sent["headers"]["x-goog-user-project"] == "paying-project"
    assert [request["path"] for request in emulator.requests()].count("/token") == 1


def test_text_clip_is_ordered_polled_and_read(
    sdk: Any, emulator: EmulatorHandle, probe_bytes: Callable[[bytes], Probe]
) -> None:
    response = film(sdk, aspect_ratio="9:16", seed=42, generate_audio=False, labels={"job": "j1"})
    (made,) = response.generated_videos
    shown = probe_bytes(made.video.video_bytes)
    assert (shown.width, shown.height, shown.has_audio) == (720, 1280, False)
    polls = [request for request in emulator.requests() if request["path"].endswith(":fetchPredictOperation")]
    assert {request["method"] for request in polls} == {"POST"}


def test_image_first_last_and_reference_clips_complete(sdk: Any, frame: Callable[..., types.Image]) -> None:
    one = types.GenerateVideosSource(prompt="move", image=frame())
    assert len(film(sdk, source=one).generated_videos) == 1
    assert len(film(sdk, source=one, last_frame=frame("blue")).generated_videos) == 1
    references = [
        types.VideoGenerationReferenceImage(image=frame(colour), reference_type="asset") for colour in ("red", "blue")
    ]
    response = film(sdk, model=FAST, duration_seconds=8, reference_images=references)
    assert len(response.generated_videos) == 1


def test_clip_is_extended_from_the_bucket(
    sdk: Any, emulator: EmulatorHandle, probe_bytes: Callable[[bytes], Probe]
) -> None:
    emulator.make_bucket("films")
    (made,) = film(sdk, output_gcs_uri="gs://films/out").generated_videos
    assert made.video.uri.startswith("gs://films/out/")
    source = types.GenerateVideosSource(prompt="on", video=types.Video(uri=made.video.uri, mime_type="video/mp4"))
    (longer,) = film(sdk, model=FAST, source=source, duration_seconds=None).generated_videos
    assert probe_bytes(longer.video.video_bytes).duration_seconds == pytest.approx(11.0, abs=0.1)


def test_four_samples_are_one_operation(sdk: Any, emulator: EmulatorHandle) -> None:
    emulator.make_bucket("films")
    response = film(sdk, number_of_videos=4, output_gcs_uri="gs://films")
    assert len({made.video.uri for made in response.generated_videos}) == 4
    assert [item["usd"] for item in emulator.bill()["items"]] == ["0.80"]


def test_filtered_clips_and_errors_arrive_as_the_sdk_knows_them(sdk: Any, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="rai_partial", count=1)
    response = film(sdk, number_of_videos=2)
    assert (len(response.generated_videos), response.rai_media_filtered_count) == (1, 1)
    assert "Support codes" in response.rai_media_filtered_reasons[0]
    emulator.add_fault(fault="veo_error", code=3, message="no")
    with pytest.raises(AssertionError, match="'code': 3"):
        film(sdk)
    with pytest.raises(errors.ClientError, match="Unsupported output video duration 5 seconds"):
        film(sdk, duration_seconds=5)
    with pytest.raises(errors.ClientError, match="was not found or your project does not have access"):
        film(sdk, model="veo-3.0-generate-001")


def interact(sdk: genai.Client, **extra: Any) -> Any:
    shape = {"type": "video", "resolution": "360p", "duration": "3s"} | extra.pop("response_format", {})
    arguments = {"model": OMNI, "input": "a cat", "background": True, "store": True, "response_format": shape}
    interaction = sdk.interactions.create(**(arguments | extra))
    deadline = time.monotonic() + WAIT_SECONDS
    while interaction.status == "in_progress":
        assert time.monotonic() < deadline
        time.sleep(0.02)
        interaction = sdk.interactions.get(interaction.id)
    assert interaction.status == "completed", interaction
    return interaction


def test_interaction_delivers_into_the_bucket_and_takes_it_from_there(
    sdk: Any, emulator: EmulatorHandle, probe_bytes: Callable[[bytes], Probe]
) -> None:
    emulator.make_bucket("films")
    done = interact(sdk, response_format={"delivery": "uri", "gcs_uri": "gs://films/omni/"})
    uri = done.output_video.uri
    content = emulator.object_bytes("films", uri.removeprefix("gs://films/"))
    assert probe_bytes(content).duration_seconds == 3.0
    video = {"type": "video", "mime_type": "video/mp4", "uri": uri}
    content_parts = [{"type": "user_input", "content": [video, {"type": "text", "text": "blue"}]}]
    edited = interact(sdk, input=content_parts, generation_config={"video_config": {"task": "edit"}})
    assert probe_bytes(base64.b64decode(edited.output_video.data)).height == 360
    sdk.interactions.delete(done.id)


def block(content: bytes, emulator: EmulatorHandle, name: str = "in.mp4") -> dict[str, str]:
    """Put a film into the bucket and give the part of an interaction that names it."""
    emulator.put_object("films", name, content, "video/mp4")
    return {"type": "video", "mime_type": "video/mp4", "uri": f"gs://films/{name}"}


def on(video: dict[str, str]) -> list[Any]:
    return [{"type": "user_input", "content": [video, {"type": "text", "text": "on"}]}]


EXTEND: dict[str, Any] = {"video_config": {"task": "extend"}}


def test_omni_extends_from_the_bucket_and_its_own_clip(
    sdk: Any, emulator: EmulatorHandle, make_film: Callable[..., bytes], probe_bytes: Callable[[bytes], Probe]
) -> None:
    longer = interact(sdk, input=on(block(make_film(), emulator)), generation_config=EXTEND)
    assert probe_bytes(base64.b64decode(longer.output_video.data)).duration_seconds == 6.0
    longest = interact(sdk, input="on", generation_config=EXTEND, previous_interaction_id=longer.id)
    assert probe_bytes(base64.b64decode(longest.output_video.data)).duration_seconds == 9.0


@pytest.mark.parametrize("task", ["extend", "edit"])
def test_omnis_refusals_of_a_source_arrive_as_the_sdks_errors(
    sdk: Any, emulator: EmulatorHandle, make_film: Callable[..., bytes], task: str
) -> None:
    config = {"video_config": {"task": task}}

    def refused(video: dict[str, str], words: str) -> None:
        with pytest.raises(Exception, match=words) as raised:
            interact(sdk, input=on(video), generation_config=config)
        assert (type(raised.value).__name__, getattr(raised.value, "status_code", 0)) == ("BadRequestError", 400)

    refused(block(make_film(fps="24000/1001"), emulator), "Video fps mismatch. Expected: 24 got: 23")
    refused(block(make_film(codec="mpeg4"), emulator), "only MP4 with H.264")
    good = block(make_film(), emulator)
    refused(good | {"uri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}, "video is empty")
    emulator.add_fault(fault="region")
    refused(good, "User location is not supported")
    emulator.age(55 * 86_400)
    with pytest.raises(Exception, match="Invalid interaction name"):
        interact(sdk, generation_config=config, previous_interaction_id="v1_old")
    assert emulator.bill()["paid_submissions"] == 0


@pytest.fixture(scope="session")
def wide_film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    folder = tmp_path_factory.mktemp("wide")

    def make(fps: str = "24") -> bytes:
        source = f"color=c=blue:size=1280x720:rate={fps}:duration=1"
        path = folder / "film.mp4"
        encoding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-y", str(path)]
        subprocess.run([find_ffmpeg(None), "-loglevel", "error", "-f", "lavfi", "-i", source, *encoding], check=True)
        return path.read_bytes()

    return make


def test_veo_extends_bytes_with_a_last_frame_or_a_reference(
    sdk: Any,
    wide_film: Callable[..., bytes],
    frame: Callable[..., types.Image],
    probe_bytes: Callable[[bytes], Probe],
) -> None:
    video = types.Video(video_bytes=wide_film(), mime_type="video/mp4")
    source = types.GenerateVideosSource(prompt="on", video=video)
    reference = types.VideoGenerationReferenceImage(image=frame(), reference_type="asset")
    for guide in ({}, {"last_frame": frame()}, {"reference_images": [reference]}):
        (made,) = film(sdk, model=FAST, source=source, duration_seconds=7, **guide).generated_videos
        assert probe_bytes(made.video.video_bytes).duration_seconds == pytest.approx(8.0, abs=0.1)
    with pytest.raises(errors.ClientError, match="cannot be set together"):
        film(sdk, model=FAST, source=source, duration_seconds=7, last_frame=frame(), reference_images=[reference])


def test_veos_refusals_of_a_source_arrive_as_the_sdks_errors(
    sdk: Any, emulator: EmulatorHandle, wide_film: Callable[..., bytes], make_film: Callable[..., bytes]
) -> None:
    def refused(words: str, **video: Any) -> None:
        source = types.GenerateVideosSource(prompt="on", video=types.Video(**video))
        with pytest.raises(errors.ClientError, match=words) as raised:
            film(sdk, model=FAST, source=source, duration_seconds=7)
        assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")

    refused("Expected: 24 got: 25", video_bytes=wide_film("25"), mime_type="video/mp4")
    refused("resolution 128x72", video_bytes=make_film(), mime_type="video/mp4")
    refused("video mime type is empty", video_bytes=wide_film())
    refused("video is empty", uri="https://example.org/film.mp4", mime_type="video/mp4")
    emulator.add_fault(fault="use_case_unsupported")
    refused("use case is currently not supported", video_bytes=wide_film(), mime_type="video/mp4")
    assert emulator.bill()["paid_submissions"] == 0


def test_models_are_listed_shown_and_counted_for(sdk: Any) -> None:
    names = [model.name for model in sdk.models.list(config={"page_size": 3})]
    assert {f"publishers/google/models/{model}" for model in (IMAGE_MODEL, OMNI, VEO, FAST, LITE)} <= set(names)
    assert sdk.models.get(model=VEO).version == "default"
    assert sdk.models.count_tokens(model="gemini-3.8-flash", contents="hello world!").total_tokens == 3
    with pytest.raises(errors.ClientError, match="was not found"):
        sdk.models.get(model="veo-3.0-generate-001")


def test_express_key_draws_counts_lists_and_films(express: Any, emulator: EmulatorHandle) -> None:
    answer = express.models.generate_content(model=IMAGE_MODEL, contents="a red cube")
    assert answer.candidates[0].content.parts[-1].inline_data.data
    assert express.models.count_tokens(model="gemini-3.8-flash", contents="hi").total_tokens == 1
    assert f"publishers/google/models/{OMNI}" in [model.name for model in express.models.list()]
    assert interact(express).output_video.data
    paths = [request["path"] for request in emulator.requests()]
    assert all(path.startswith("/v1beta1/") and "projects" not in path for path in paths)


def test_revoked_token_raises_what_the_sdk_makes_of_a_401(sdk: Any, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="token_revoked")
    with pytest.raises(errors.ClientError) as refused:
        sdk.models.count_tokens(model="gemini-3.8-flash", contents="hi")
    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")
