"""Vertex AI over raw HTTP: Veo, pictures and interactions, with a project and in express mode."""

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagen.emulator.ffmpeg import Probe, find_ffmpeg
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.errors import ConfigurationError

WIRE = Path(__file__).parent / "wire"
CAPTURES = {path.stem: json.loads(path.read_text()) for path in sorted(WIRE.glob("*.json"))}
PROJECT = "/v1beta1/projects/test-project/locations/us-central1"
VEO, FAST, LITE = "veo-3.1-generate-001", "veo-3.1-fast-generate-001", "veo-3.1-lite-generate-001"
IMAGE = "gemini-nano-banana-2.1"
OMNI = "gemini-omni-1.2-flash"
WAIT_SECONDS = 60.0


@pytest.fixture
def http(emulator: EmulatorHandle) -> Iterator[httpx.Client]:
    headers = {"authorization": "Bearer ya29.ready", "x-goog-user-project": "quota-project"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=WAIT_SECONDS) as client:
        yield client


class Veo:
    """Orders clips of Veo and waits for them."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def post(self, instance: Any = "a cat", *, model: str = LITE, at: str = PROJECT, **parameters: Any) -> Any:
        if isinstance(instance, str):
            instance = {"prompt": instance}
        body: dict[str, Any] = {"instances": [instance]}
        if parameters:
            body["parameters"] = parameters
        return self.http.post(f"{at}/publishers/google/models/{model}:predictLongRunning", json=body)

    def fetch(self, name: str, *, at: str = "/v1beta1") -> httpx.Response:
        model = name.partition("/operations/")[0]
        return self.http.post(f"{at}/{model}:fetchPredictOperation", json={"operationName": name})

    def wait(self, ordered: httpx.Response) -> dict[str, Any]:
        assert ordered.status_code == 200, ordered.text
        name, deadline = ordered.json()["name"], time.monotonic() + WAIT_SECONDS
        while "done" not in (shown := self.fetch(name).json()):
            assert shown == {"name": name}
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert (shown["name"], shown["done"]) == (name, True)
        return dict(shown)

    def videos(self, ordered: httpx.Response) -> list[bytes]:
        videos = self.wait(ordered)["response"]["videos"]
        assert {video["mimeType"] for video in videos} == {"video/mp4"}
        return [base64.b64decode(video["bytesBase64Encoded"]) for video in videos]


@pytest.fixture(scope="session")
def wide_film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("wide") / "film.mp4"
    source = "color=c=blue:size=1280x720:rate=24:duration=3"
    command = [find_ffmpeg(None), "-loglevel", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", str(path)]
    subprocess.run(command, check=True)
    return path.read_bytes()


@pytest.fixture
def veo(http: httpx.Client) -> Veo:
    return Veo(http)


@pytest.fixture
def image(png: Callable[..., bytes], b64: Callable[[bytes], str]) -> Callable[..., dict[str, str]]:
    def make(colour: str = "red") -> dict[str, str]:
        return {"bytesBase64Encoded": b64(png(colour)), "mimeType": "image/png"}

    return make


def message(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


def usd(emulator: EmulatorHandle) -> list[str]:
    return [str(item["usd"]) for item in emulator.bill()["items"]]


def test_text_clip_comes_back_as_bytes_of_the_size_asked_for(
    veo: Veo, emulator: EmulatorHandle, probe_bytes: Callable[[bytes], Probe]
) -> None:
    ordered = veo.post("a cat", durationSeconds=4, aspectRatio="9:16", seed=4_294_967_295, negativePrompt="blur")
    assert re.fullmatch(
        rf"projects/test-project/locations/us-central1/publishers/google/models/{LITE}/operations/[0-9a-f-]{{36}}",
        ordered.json()["name"],
    )
    (content,) = veo.videos(ordered)
    film = probe_bytes(content)
    assert (film.width, film.height, film.duration_seconds, film.fps) == (720, 1280, 4.0, 24)
    assert film.has_audio
    assert emulator.bill()["items"][0] | {"at": ""} == {
        "model": LITE,
        "kind": "video",
        "operation": ordered.json()["name"],
        "task": "text_to_video",
        "usd": "0.20",
        "at": "",
    }


def test_silent_clip_has_no_sound_track_and_costs_less(
    veo: Veo, emulator: EmulatorHandle, probe_bytes: Callable[[bytes], Probe]
) -> None:
    (content,) = veo.videos(veo.post(durationSeconds=4, generateAudio=False))
    assert not probe_bytes(content).has_audio
    assert usd(emulator) == ["0.12"]


def test_samples_differ_and_are_one_entry_on_the_bill(veo: Veo, emulator: EmulatorHandle) -> None:
    contents = veo.videos(veo.post(durationSeconds=4, sampleCount=3))
    assert len(set(contents)) == 3
    assert usd(emulator) == ["0.60"]
    assert len(emulator.files()) == 3


@pytest.mark.parametrize(
    ("model", "parameters", "price"),
    [
        (VEO, {}, "3.20"),
        (VEO, {"generateAudio": False, "durationSeconds": 6}, "1.20"),
        (VEO, {"resolution": "4k", "sampleCount": 4}, "19.20"),
        (FAST, {"resolution": "1080p", "durationSeconds": 4}, "0.48"),
        (FAST, {"resolution": "4k", "generateAudio": False}, "2.00"),
        (LITE, {"resolution": "1080p", "generateAudio": False}, "0.40"),
    ],
)
def test_bill_follows_model_resolution_length_sound_and_samples(
    veo: Veo, emulator: EmulatorHandle, model: str, parameters: dict[str, Any], price: str
) -> None:
    assert veo.post(model=model, **parameters).status_code == 200
    assert usd(emulator) == [price]


def test_image_and_last_frame_make_clips_and_padding_shows(
    veo: Veo, image: Callable[..., dict[str, str]], probe_bytes: Callable[[bytes], Probe]
) -> None:
    both = {"prompt": "morph", "image": image("red"), "lastFrame": image("blue")}
    cropped = veo.videos(veo.post({"image": image("red")}, durationSeconds=4, aspectRatio="9:16"))
    padded = veo.videos(veo.post({"image": image("red")}, durationSeconds=4, aspectRatio="9:16", resizeMode="PAD"))
    (morph,) = veo.videos(veo.post(both, durationSeconds=4))
    assert probe_bytes(morph).duration_seconds == 4.0
    assert cropped != padded


def test_extension_adds_seven_seconds_to_the_whole(
    veo: Veo, emulator: EmulatorHandle, b64: Callable[[bytes], str], probe_bytes: Callable[[bytes], Probe]
) -> None:
    (source,) = veo.videos(veo.post(durationSeconds=4, generateAudio=False))
    emulator.put_object("films", "in.mp4", source, "video/mp4")
    by_bytes = {"prompt": "on", "video": {"bytesBase64Encoded": b64(source), "mimeType": "video/mp4"}}
    by_uri = {"prompt": "on", "video": {"gcsUri": "gs://films/in.mp4", "mimeType": "video/mp4"}}
    emulator.reset()
    emulator.put_object("films", "in.mp4", source, "video/mp4")
    (content,) = veo.videos(veo.post(by_bytes, model=FAST))
    assert probe_bytes(content).duration_seconds == pytest.approx(11.0, abs=0.1)
    assert veo.post(by_uri, model=FAST).status_code == 200
    assert usd(emulator) == ["0.70", "0.70"]
    assert emulator.bill()["items"][0]["task"] == "video_extension"


def test_extension_wants_24_fps_and_720p_or_1080p(
    veo: Veo, make_film: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    def refused(content: bytes) -> str:
        video = {"bytesBase64Encoded": b64(content), "mimeType": "video/mp4"}
        return message(veo.post({"prompt": "on", "video": video}, model=VEO))

    assert refused(make_film(fps="30")) == "Video fps mismatch. Expected: 24 got: 30"
    assert refused(make_film(fps="24000/1001")) == "Video fps mismatch. Expected: 24 got: 23"
    assert refused(make_film()) == "Unsupported input video resolution 128x72, supported are 720p and 1080p."
    assert refused(b"no film") == "Unable to process input video."


def test_films_go_into_the_bucket_that_was_named(
    veo: Veo, emulator: EmulatorHandle, probe_bytes: Callable[[bytes], Probe]
) -> None:
    emulator.make_bucket("films")
    shown = veo.wait(veo.post(durationSeconds=4, sampleCount=2, storageUri="gs://films/out 🎬/"))["response"]
    assert shown["raiMediaFilteredCount"] == 0
    uris = [video["gcsUri"] for video in shown["videos"]]
    assert all(re.fullmatch(r"gs://films/out 🎬/\d{15,20}/sample_[01]\.mp4", uri) for uri in uris)
    assert [f"gs://films/{entry['name']}" for entry in emulator.objects("films")] == uris
    content = emulator.object_bytes("films", uris[1].removeprefix("gs://films/"))
    assert probe_bytes(content).duration_seconds == 4.0


def test_missing_or_forbidden_bucket_ends_the_operation_unbilled(veo: Veo, emulator: EmulatorHandle) -> None:
    emulator.make_bucket("closed")
    emulator.deny_bucket("closed", "write")
    errors = [veo.wait(veo.post(durationSeconds=4, storageUri=f"gs://{name}"))["error"] for name in ("none", "closed")]
    assert [error["code"] for error in errors] == [5, 7]
    assert "gcp-sa-aiplatform.iam.gserviceaccount.com does not have storage.objects.create" in errors[1]["message"]
    assert emulator.bill()["paid_submissions"] == 0


def test_missing_or_forbidden_input_is_refused_at_once(veo: Veo, emulator: EmulatorHandle) -> None:
    emulator.put_object("closed", "in.png", b"x")
    emulator.deny_bucket("closed", "read")
    answers = [
        veo.post({"prompt": "x", "image": {"gcsUri": uri, "mimeType": "image/png"}})
        for uri in ("gs://none/in.png", "gs://closed/no.png", "gs://closed/", "https://example.org/in.png")
    ]
    assert [answer.status_code for answer in answers] == [404, 403, 400, 400]


REFERENCE = {"image": {"gcsUri": "gs://b/in.png", "mimeType": "image/png"}, "referenceType": "asset"}
STYLE = REFERENCE | {"referenceType": "STYLE"}
FILM = {"gcsUri": "gs://b/in.mp4", "mimeType": "video/mp4"}
PICTURE = {"gcsUri": "gs://b/in.png", "mimeType": "image/png"}


@pytest.mark.parametrize(
    ("model", "instance", "parameters", "words"),
    [
        (
            VEO,
            {"prompt": "a"},
            {"durationSeconds": 5},
            "Unsupported output video duration 5 seconds, supported durations are [8,4,6] for feature text_to_video.",
        ),
        (
            VEO,
            {"prompt": "a", "referenceImages": [REFERENCE]},
            {"durationSeconds": 6},
            "Unsupported output video duration 6 seconds, supported durations are [8] for feature reference_to_video.",
        ),
        (VEO, {"prompt": "a", "video": FILM}, {"durationSeconds": 8}, "for feature video_extension"),
        (VEO, {"prompt": "a"}, {"durationSeconds": "8"}, "The value type for `durationSeconds` needs to be a number."),
        (VEO, {"prompt": "a"}, {"durationSeconds": True}, "needs to be a number"),
        (VEO, {"prompt": "a"}, {"durationSeconds": 4.5}, "needs to be a whole number"),
        (VEO, {"prompt": "a"}, {"generateAudio": "no"}, "needs to be a boolean"),
        (VEO, {"prompt": "a"}, {"sampleCount": 5}, "Sample count must be between 1 and 4"),
        (VEO, {"prompt": "a"}, {"sampleCount": 0}, "Sample count must be between 1 and 4"),
        (VEO, {"prompt": "a"}, {"seed": -1}, "Seed must be between"),
        (VEO, {"prompt": "a"}, {"fps": 30}, "Unsupported output video fps 30"),
        (VEO, {"prompt": "a"}, {"enhancePrompt": False}, "Veo 3 prompt enhancement cannot be disabled."),
        (VEO, {"prompt": "a"}, {"aspectRatio": "1:1"}, "aspectRatio"),
        (VEO, {"prompt": "a"}, {"resolution": "360p"}, "resolution"),
        (VEO, {"prompt": "a", "video": FILM}, {"resolution": "4k"}, "resolution"),
        (VEO, {"prompt": "a"}, {"personGeneration": "everybody"}, "personGeneration"),
        (VEO, {"prompt": "a"}, {"compressionQuality": "BEST"}, "compressionQuality"),
        (VEO, {"prompt": "a"}, {"resizeMode": "STRETCH"}, "resizeMode"),
        (VEO, {"prompt": "a"}, {"storageUri": "s3://b"}, "Invalid Cloud Storage URI"),
        (VEO, {"prompt": "a"}, {"pubsubTopic": "t"}, "Invalid Pub/Sub topic"),
        (VEO, {"prompt": "a"}, {"durationseconds": 8}, "Unknown name \"durationseconds\" at 'parameters'"),
        (VEO, {"prompt": "a", "last_frame": PICTURE}, {}, "Unknown name \"last_frame\" at 'instances[0]'"),
        (VEO, {"prompt": " "}, {}, "Prompt is required"),
        (VEO, {"prompt": "a", "video": {"uri": "gs://b/in.mp4", "mimeType": "video/mp4"}}, {}, "video is empty"),
        (VEO, {"prompt": "a", "video": {"gcsUri": "gs://b/in.mp4"}}, {}, "video mime type is empty"),
        (VEO, {"prompt": "a", "image": {}}, {}, "image is empty"),
        (VEO, {"prompt": "a", "image": {"bytesBase64Encoded": "@@", "mimeType": "image/png"}}, {}, "Base64 decoding"),
        (VEO, {"prompt": "a", "image": PICTURE | {"mimeType": "image/gif"}}, {}, "Unsupported image mime type"),
        (VEO, {"prompt": "a", "video": FILM | {"mimeType": "video/webm"}}, {}, "Unsupported video mime type"),
        (VEO, {"prompt": "a", "image": PICTURE | {"bytesBase64Encoded": "eA=="}}, {}, "Only one of"),
        (VEO, {"prompt": "a", "lastFrame": PICTURE}, {}, "lastFrame needs image"),
        (VEO, {"prompt": "a", "image": PICTURE, "video": FILM}, {}, "cannot be set together"),
        (VEO, {"prompt": "a", "image": PICTURE, "referenceImages": [REFERENCE]}, {}, "cannot be set together"),
        (VEO, {"prompt": "a", "referenceImages": [REFERENCE] * 4}, {}, "at most 3 reference images"),
        (
            VEO,
            {"prompt": "a", "referenceImages": [REFERENCE, STYLE]},
            {},
            "does not support this mix of reference images",
        ),
        (VEO, {"prompt": "a", "referenceImages": [STYLE]}, {}, "does not support this mix of reference images"),
        (VEO, {"prompt": "a", "referenceImages": [{"image": PICTURE}]}, {}, "referenceType must be"),
        (VEO, {"prompt": "a", "video": FILM, "mask": PICTURE}, {}, "`mask` isn't supported by this model"),
        (LITE, {"prompt": "a", "referenceImages": [REFERENCE]}, {}, "`referenceImages` isn't supported by this model"),
        (LITE, {"prompt": "a", "video": FILM}, {}, "`video` isn't supported by this model"),
        (LITE, {"prompt": "a"}, {"resolution": "4k"}, "resolution"),
    ],
)
def test_what_veo_cannot_do_is_refused_before_it_costs_anything(
    veo: Veo,
    emulator: EmulatorHandle,
    png: Callable[..., bytes],
    model: str,
    instance: Any,
    parameters: Any,
    words: str,
) -> None:
    emulator.put_object("b", "in.png", png(), "image/png")
    emulator.put_object("b", "in.mp4", b"x", "video/mp4")
    answer = veo.post(instance, model=model, **parameters)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in message(answer)
    assert emulator.bill()["paid_submissions"] == 0


@pytest.mark.parametrize("body", [{}, {"instances": []}, {"instances": [{"prompt": "a"}, {"prompt": "b"}]}])
def test_exactly_one_instance_is_taken(http: httpx.Client, body: Any) -> None:
    answer = http.post(f"{PROJECT}/publishers/google/models/{VEO}:predictLongRunning", json=body)
    assert message(answer).startswith("Exactly one instance")


@pytest.mark.parametrize(
    ("at", "model", "served"),
    [
        ("locations/us-central1", VEO, True),
        ("locations/global", VEO, False),
        ("locations/europe-west4", LITE, False),
        ("locations/us-central1", "veo-3.0-generate-001", False),
        ("locations/us-central1", "veo-3.1-generate-preview", False),
        ("locations/us-central1", "veo-2.0-generate-001", False),
    ],
)
def test_veo_is_served_in_one_place_and_retired_ones_nowhere(veo: Veo, at: str, model: str, served: bool) -> None:
    answer = veo.post(model=model, at=f"/v1beta1/projects/p/{at}")
    if served:
        assert answer.status_code == 200
        return
    assert answer.status_code == 404
    assert message(answer).startswith(
        f"Publisher Model `projects/p/{at}/publishers/google/models/{model}` was not found or your project does not "
        "have access to it."
    )


def test_express_key_orders_clips_without_a_project(emulator: EmulatorHandle) -> None:
    with httpx.Client(base_url=emulator.url, headers={"x-goog-api-key": "AQ.x"}, timeout=WAIT_SECONDS) as client:
        veo = Veo(client)
        ordered = veo.post(at="/v1beta1", durationSeconds=4)
        assert ordered.json()["name"].startswith(f"publishers/google/models/{LITE}/operations/")
        assert len(veo.videos(ordered)) == 1


def test_operations_are_found_by_their_own_name_only(veo: Veo, http: httpx.Client) -> None:
    name = veo.post().json()["name"]
    answer = http.get(f"/v1beta1/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert veo.fetch(f"{name}x").status_code == 404
    path = f"{PROJECT}/publishers/google/models/{FAST}:fetchPredictOperation"
    assert http.post(path, json={"operationName": name}).status_code == 400
    assert http.post(path, json={"name": name}).status_code == 400
    assert veo.fetch(name.replace("test-project", "other")).status_code == 404


def test_gemini_api_has_no_veo_any_more(client: httpx.Client) -> None:
    for model in ("veo-3.1-generate-preview", VEO, OMNI):
        answer = client.post(f"/v1beta/models/{model}:predictLongRunning", json={"instances": [{"prompt": "a"}]})
        assert answer.status_code == 404
    assert client.get(f"/v1/models/{VEO}").status_code == 404
    assert all("veo" not in model["name"] for model in client.get("/v1/models").json()["models"])


def test_wholly_filtered_clips_are_not_charged(veo: Veo, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="rai_filtered", codes="29310472")
    shown = veo.wait(veo.post(sampleCount=2, durationSeconds=4))
    assert "error" not in shown
    assert "videos" not in shown["response"]
    assert shown["response"]["raiMediaFilteredCount"] == 2
    assert shown["response"]["raiMediaFilteredReasons"][0].endswith("Support codes: 29310472")
    assert emulator.bill()["paid_submissions"] == 0


def test_partly_filtered_clips_are_charged_in_part(veo: Veo, emulator: EmulatorHandle) -> None:
    shown = veo.wait(veo.post("a [[fault:rai_partial=2]]", sampleCount=3, durationSeconds=4))["response"]
    assert (len(shown["videos"]), shown["raiMediaFilteredCount"]) == (1, 2)
    assert "Support codes: 58061214" in shown["raiMediaFilteredReasons"][0]
    assert usd(emulator) == ["0.20"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"fault": "veo_error", "code": 3, "message": "Support codes: 1"}, 3),
        ({"fault": "veo_error"}, 13),
        ({"fault": "video_failed"}, 13),
        ({"fault": "service_agents_operation"}, 9),
    ],
)
def test_operation_ends_with_a_scripted_error_unbilled(
    veo: Veo, emulator: EmulatorHandle, script: dict[str, Any], code: int
) -> None:
    emulator.add_fault(**script)
    shown = veo.wait(veo.post(durationSeconds=4))
    assert "response" not in shown
    assert (shown["error"]["code"], bool(shown["error"]["message"])) == (code, True)
    assert emulator.bill()["paid_submissions"] == 0


def test_service_agents_hold_every_submission_back(veo: Veo, http: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="service_agents", times=3)
    picture = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    answers = [
        veo.post(),
        http.post(f"{PROJECT}/publishers/google/models/{IMAGE}:generateContent", json=picture),
        http.post(f"{PROJECT}/interactions", json={"model": OMNI, "input": "a"}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
        assert message(answer).startswith("Service agents are being provisioned (https://cloud.google.com/vertex-ai/")
    assert emulator.bill()["paid_submissions"] == 0
    assert veo.post().status_code == 200


@pytest.mark.parametrize("shape", ["generated_samples", "predictions"])
def test_bygone_shapes_are_answered_on_demand(
    veo: Veo, http: httpx.Client, emulator: EmulatorHandle, shape: str, probe_bytes: Callable[[bytes], Probe]
) -> None:
    emulator.add_fault(fault="old_shape", shape=shape)
    response = veo.wait(veo.post(durationSeconds=4))["response"]
    listed = (
        response["predictions"] if shape == "predictions" else response["generateVideoResponse"]["generatedSamples"]
    )
    assert probe_bytes(http.get(listed[0]["video"]["uri"]).content).duration_seconds == 4.0


def test_stuck_operation_never_ends_and_still_costs(veo: Veo, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="stuck")
    name = veo.post(durationSeconds=4).json()["name"]
    assert all(veo.fetch(name).json() == {"name": name} for _ in range(20))
    assert usd(emulator) == ["0.20"]


def test_drop_after_accept_costs_and_says_nothing(veo: Veo, emulator: EmulatorHandle) -> None:
    with pytest.raises(httpx.TransportError):
        veo.post("a [[fault:drop_after_accept]]")
    assert usd(emulator) == ["0.40"]


def test_order_may_be_lost_without_anything_made_or_billed(veo: Veo, emulator: EmulatorHandle) -> None:
    with pytest.raises(httpx.TransportError):
        veo.post("a [[fault:lost_after_accept]]")
    assert usd(emulator) == []


def test_silent_order_is_made_while_its_sender_waits_in_vain(veo: Veo, emulator: EmulatorHandle) -> None:
    emulator.make_bucket("films")
    body = {"instances": [{"prompt": "a [[fault:silent_after_accept]]"}], "parameters": {"storageUri": "gs://films/x/"}}
    with pytest.raises(httpx.ReadTimeout):
        veo.http.post(f"{PROJECT}/publishers/google/models/{LITE}:predictLongRunning", json=body, timeout=0.05)
    deadline = time.monotonic() + 60
    while not emulator.objects("films"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert usd(emulator) == ["0.40"]


def test_operation_may_end_without_a_clip(veo: Veo) -> None:
    assert "videos" not in veo.wait(veo.post("a [[fault:completed_without_video]]"))["response"]


def test_answer_with_clips_inside_may_break_off(veo: Veo, emulator: EmulatorHandle) -> None:
    ordered = veo.post(durationSeconds=4)
    veo.wait(ordered)
    emulator.add_fault(fault="cut_download", after_bytes=5000)
    with pytest.raises(httpx.TransportError):
        veo.fetch(ordered.json()["name"])
    assert len(veo.videos(ordered)) == 1


def test_finished_operation_may_be_gone(veo: Veo) -> None:
    name = veo.post("a [[fault:expired]]", durationSeconds=4).json()["name"]
    deadline = time.monotonic() + WAIT_SECONDS
    while (answer := veo.fetch(name)).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (answer.status_code, veo.fetch(name).status_code) == (404, 404)


@pytest.mark.parametrize(
    "script",
    [{"fault": "old_shape"}, {"fault": "veo_error", "code": "x"}, {"fault": "rai_partial", "count": "many"}],
)
def test_senseless_script_is_refused(emulator: EmulatorHandle, script: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        emulator.add_fault(**script)


def picture(http: httpx.Client, at: str, config: dict[str, Any], **extra: Any) -> httpx.Response:
    body = {"contents": [{"role": "user", "parts": [{"text": "a cat"}]}], "generationConfig": config, **extra}
    return http.post(f"{at}/publishers/google/models/{IMAGE}:generateContent", json=body)


def test_picture_takes_the_fields_that_only_vertex_knows(http: httpx.Client, client: httpx.Client) -> None:
    options = {
        "imageSize": "512",
        "personGeneration": "ALLOW_NONE",
        "prominentPeople": "BLOCK_PROMINENT_PEOPLE",
        "imageOutputOptions": {"mimeType": "image/png", "compressionQuality": 80},
    }
    answer = picture(http, PROJECT, {"imageConfig": options}, labels={"team": "x"})
    assert answer.json()["candidates"][0]["content"]["parts"][-1]["inlineData"]["mimeType"] == "image/png"
    assert (
        client.post(f"/v1/models/{IMAGE}:generateContent", json=json.loads(answer.request.content)).status_code == 400
    )
    wrong = picture(http, PROJECT, {"imageConfig": {"personGeneration": "allow_all"}})
    assert "google.cloud.aiplatform.v1beta1.ImageConfig.PersonGeneration" in message(wrong)


def test_picture_costs_a_tenth_more_outside_the_global_endpoint(http: httpx.Client, emulator: EmulatorHandle) -> None:
    for at in ("/v1beta1", "/v1beta1/projects/p/locations/global", PROJECT, "/v1beta1/projects/p/locations/eu"):
        assert picture(http, at, {"imageConfig": {"imageSize": "1K"}}).status_code == 200
    prices = [round(float(price), 5) for price in usd(emulator)]
    assert prices == [0.0336, 0.0336, 0.03696, 0.03696]


def test_picture_reads_its_inputs_from_the_bucket(
    http: httpx.Client, emulator: EmulatorHandle, png: Callable[..., bytes]
) -> None:
    emulator.put_object("inputs", "wide 🎬.png", png(size=(210, 90)), "image/png")

    def edit(uri: str) -> httpx.Response:
        parts = [{"fileData": {"fileUri": uri, "mimeType": "image/png"}}, {"text": "edit"}]
        body = {"contents": [{"role": "user", "parts": parts}]}
        return http.post(f"{PROJECT}/publishers/google/models/{IMAGE}:generateContent", json=body)

    assert edit("gs://inputs/wide 🎬.png").status_code == 200
    assert edit("gs://inputs/none.png").status_code == 404
    assert edit("https://example.org/a.png").status_code == 200
    assert edit(f"{emulator.url}/v1beta/files/abc").status_code == 400


def test_models_of_other_kinds_are_refused_by_name_of_the_method(http: httpx.Client, veo: Veo) -> None:
    def generate(model: str) -> httpx.Response:
        body = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
        return http.post(f"{PROJECT}/publishers/google/models/{model}:generateContent", json=body)

    assert message(generate(OMNI)) == "This model only supports Interactions API."
    assert "generateContent" in message(generate(VEO))
    assert "predictLongRunning" in message(veo.post(model=IMAGE))
    assert generate("gemini-2.5-flash-image").status_code == 404


def order(http: httpx.Client, at: str = PROJECT, model: str = OMNI, **wanted: Any) -> httpx.Response:
    shape = {"type": "video", "resolution": "360p", "duration": "3s", **wanted}
    body = {"model": model, "input": "a cat", "background": True, "store": True, "response_format": shape}
    return http.post(f"{at}/interactions", json=body)


def finished(http: httpx.Client, ordered: httpx.Response, at: str = PROJECT) -> dict[str, Any]:
    assert ordered.status_code == 200, ordered.text
    deadline = time.monotonic() + WAIT_SECONDS
    while (shown := http.get(f"{at}/interactions/{ordered.json()['id']}").json())["status"] == "in_progress":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return dict(shown)


def test_interaction_delivers_into_the_bucket(
    http: httpx.Client, emulator: EmulatorHandle, probe_bytes: Callable[[bytes], Probe]
) -> None:
    emulator.make_bucket("films")
    done = finished(http, order(http, delivery="uri", gcs_uri="gs://films/out/"))
    uri = done["steps"][-1]["content"][0]["uri"]
    assert uri.startswith("gs://films/out/")
    content = emulator.object_bytes("films", uri.removeprefix("gs://films/"))
    assert probe_bytes(content).height == 360
    edit = [{"type": "video", "mime_type": "video/mp4", "uri": uri}, {"type": "text", "text": "blue"}]
    body = {"model": OMNI, "background": True, "store": True, "input": [{"type": "user_input", "content": edit}]}
    edited = finished(http, http.post(f"{PROJECT}/interactions", json=body))
    assert probe_bytes(base64.b64decode(edited["steps"][-1]["content"][0]["data"])).duration_seconds == 3.0


def test_interaction_wants_its_bucket_for_uri_and_only_then(http: httpx.Client, emulator: EmulatorHandle) -> None:
    assert message(order(http, delivery="uri")) == "gcs_uri is required when delivery is uri."
    assert message(order(http, gcs_uri="gs://films/")) == "gcs_uri needs delivery uri."
    assert "Invalid Cloud Storage URI" in message(order(http, delivery="uri", gcs_uri="films"))
    done = finished(http, order(http, delivery="uri", gcs_uri="gs://none/"))
    assert (done["status"], done["errors"][0]["code"]) == ("failed", "not_found")
    assert emulator.bill()["paid_submissions"] == 0


def test_interaction_belongs_to_its_project_and_model_to_its_location(http: httpx.Client) -> None:
    ordered = order(http)
    path = f"/v1beta1/projects/other/locations/us-central1/interactions/{ordered.json()['id']}"
    assert message(http.get(path)) == "Invalid interaction name"
    old = "gemini-omni-1.1-flash"
    refused = order(http, model=old)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    assert order(http, "/v1beta1/projects/test-project/locations/global", old).status_code == 200
    assert order(http, "/v1beta1", old).status_code == 200
    webhook = {"model": OMNI, "input": "a", "webhook_config": {}}
    assert "needs" not in message(http.post(f"{PROJECT}/interactions", json=webhook | {"model": "veo"}))
    webhook["webhook_config"] = {"uris": ["https://example.org"]}
    assert "webhook_config" in message(http.post(f"{PROJECT}/interactions", json=webhook))


def test_models_are_listed_page_by_page(http: httpx.Client) -> None:
    names: list[str] = []
    token: str | None = ""
    while token is not None:
        page = http.get("/v1beta1/publishers/google/models", params={"pageSize": 4, "pageToken": token}).json()
        names += [model["name"] for model in page["publisherModels"]]
        token = page.get("nextPageToken")
    assert {f"publishers/google/models/{model}" for model in (VEO, FAST, LITE, IMAGE, OMNI)} <= set(names)
    assert len(names) == len(set(names))
    assert http.get("/v1beta1/publishers/google/models/veo-3.0-generate-001").status_code == 404
    assert http.get(f"/v1beta1/publishers/google/models/{VEO}").json()["launchStage"] == "GA"


# what Google would refuse in a body that its own library sends, and its words
REFUSED = {
    "models alive no more": ("veo_mask_", "veo_ref_style"),
    "unknown operation": ("veo_operation_get",),
    "unknown interaction": ("omni_get", "omni_cancel", "omni_delete", "omni_extend_previous", "omni_upscale_previous"),
    "no film in the bytes": ("veo_extend_bytes", "omni_edit_video_bytes"),
}


def expected(name: str) -> tuple[int, str]:
    if name.startswith(REFUSED["models alive no more"]):
        return 404, "was not found or your project does not have access to it"
    if name.startswith(REFUSED["unknown operation"]):
        return 404, "Operation not found"
    if name.startswith(REFUSED["unknown interaction"]):
        return 400, "Invalid interaction name"
    if name.startswith(REFUSED["no film in the bytes"]):
        return 400, "Unable to process input video."
    return 200, ""


def replay(http: httpx.Client, capture: dict[str, Any], body: Any) -> httpx.Response:
    credential = (
        {"x-goog-api-key": "AQ.x"} if capture["backend"] == "express" else {"authorization": "Bearer ya29.ready"}
    )
    return http.request(capture["method"], capture["path"], params=capture["query"], json=body, headers=credential)


@pytest.mark.parametrize("name", sorted(CAPTURES))
def test_captured_request_of_googles_library_is_taken(
    emulator: EmulatorHandle, png: Callable[..., bytes], wide_film: bytes, name: str
) -> None:
    capture = CAPTURES[name]
    for bucket in ("b", "bucket"):
        emulator.put_object(bucket, "in.png", png(), "image/png")
        emulator.put_object(bucket, "a.png", png(), "image/png")
        emulator.put_object(bucket, "in.mp4", wide_film, "video/mp4")
    body = capture["body"]
    if "/interactions" in capture["path"] and body:
        # as sent, the call would hold the line until the clip is rendered
        body = body | {"background": True, "store": True}
    with httpx.Client(base_url=emulator.url, timeout=WAIT_SECONDS) as http:
        answer = replay(http, capture, body)
    status_code, words = expected(name)
    assert answer.status_code == status_code, answer.text
    assert words in answer.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((f"veo_mask_{mode}__vertex", "`mask` isn't supported") for mode in ("insert", "outpaint", "remove")),
        ("veo_mask_remove_static__vertex", "`mask` isn't supported by this model"),
        ("veo_ref_style__vertex", "Reference to video does not support this mix of reference images."),
    ],
)
def test_masks_and_style_references_went_with_veo_2(http: httpx.Client, name: str, words: str) -> None:
    capture = CAPTURES[name]
    answer = http.post(f"{PROJECT}/publishers/google/models/{VEO}:predictLongRunning", json=capture["body"])
    assert answer.status_code == 400
    assert words in message(answer)


def test_clip_without_ffmpeg_ends_in_an_error_unbilled() -> None:
    with (
        running_emulator(EmulatorSettings(video_seconds=0, ffmpeg="/nowhere/ffmpeg")) as emulator,
        httpx.Client(base_url=emulator.url, headers={"authorization": "Bearer ya29.ready"}) as http,
    ):
        veo = Veo(http)
        error = veo.wait(veo.post(durationSeconds=4))["error"]
        assert (error["code"], "ffmpeg was not found" in error["message"]) == (13, True)
        assert emulator.bill()["paid_submissions"] == 0
