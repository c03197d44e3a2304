"""Interactions over raw HTTP: strictness, films, extensions."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagen.emulator.ffmpeg import Probe
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator


def refusal(answer: httpx.Response, status_code: int = 400) -> str:
    assert answer.status_code == status_code, answer.text
    error = answer.json()["error"]
    assert isinstance(error["code"], str)
    return str(error["message"])


@pytest.mark.parametrize(
    ("wanted", "size", "seconds"),
    [
        ({"aspect_ratio": "9:16"}, (360, 640), 3.0),
        ({"resolution": "720p", "duration": "4s"}, (1280, 720), 4.0),
        ({"resolution": None, "duration": None}, (1280, 720), 8.0),
    ],
)
def test_clip_is_playable_and_exactly_as_asked(
    clips: Any, probe_bytes: Callable[[bytes], Probe], wanted: Any, size: Any, seconds: Any
) -> None:
    content = clips.film(clips.order(response_format=wanted))
    film = probe_bytes(content)
    assert (film.width, film.height) == size
    assert (film.duration_seconds, film.fps, film.codec) == (seconds, 24.0, "h264")
    assert film.has_audio
    # faststart: the index comes before the data
    assert content.index(b"moov") < content.index(b"mdat")


def test_same_request_gives_the_same_film_and_it_is_listed(
    clips: Any, client: httpx.Client, emulator: EmulatorHandle
) -> None:
    first, second, other = (clips.film(clips.order(prompt)) for prompt in ("a cat", "a cat", "a dog"))
    assert first == second != other
    listed = client.get("/emulator/files").json()
    assert [file["sha256"] for file in listed] == [hashlib.sha256(film).hexdigest() for film in (first, second, other)]
    assert emulator.files() == listed


def test_background_clip_is_in_progress_first_and_reports_usage_when_completed(
    clips: Any, emulator: EmulatorHandle
) -> None:
    ordered = clips.order(response_format={"resolution": "720p", "duration": "10s"})
    assert {name: ordered.json()[name] for name in ("object", "status")} == {
        "object": "interaction",
        "status": "in_progress",
    }
    done = clips.wait(ordered)
    assert done["usage"]["output_tokens_by_modality"] == [{"modality": "video", "tokens": 57920}]
    assert "/v1beta/files/" in done["steps"][-1]["content"][0]["uri"]
    bill = emulator.bill()
    assert (bill["paid_submissions"], bill["items"][0]["operation"]) == (1, done["id"])
    assert bill["usd"] == "0.6950415"


def test_journal_tells_when_a_clip_was_done_and_when_that_was_told(clips: Any, client: httpx.Client) -> None:
    done = clips.wait(clips.order(response_format={"resolution": "360p", "duration": "3s"}))
    (entry,) = client.get("/emulator/interactions").json()
    assert (entry["id"], entry["status"]) == (done["id"], "completed")
    assert entry["polls"] >= 1
    assert entry["created"] <= entry["updated"] <= entry["told"]


def test_clip_takes_the_video_seconds(png: Callable[..., bytes]) -> None:
    settings = EmulatorSettings(video_seconds=0.5)
    with running_emulator(settings) as handle, httpx.Client(headers={"x-goog-api-key": "k"}, timeout=20) as http:
        wanted = {"type": "video", "resolution": "360p", "duration": "3s"}
        body = {"model": "gemini-omni-1.2-flash", "input": "x", "response_format": wanted}
        answer = http.post(f"{handle.url}/v1/interactions", json=body)
    assert answer.elapsed.total_seconds() >= 0.5
    assert answer.json()["status"] == "completed"


def test_waiting_call_returns_the_film_inline(clips: Any, probe_bytes: Callable[[bytes], Probe]) -> None:
    answer = clips.order(background=False, response_format={"delivery": None}).json()
    video = answer["steps"][-1]["content"][0]
    assert probe_bytes(base64.b64decode(video["data"])).duration_seconds == 3.0


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"colour": "red"}, 'Unknown name "colour"'),
        ({"responseFormat": {}}, 'Unknown name "responseFormat"'),
        ({"generation_config": {"video_config": {"task": "dance"}}}, "VideoConfig.Task"),
        ({"generation_config": {"negative_prompt": "x"}}, 'Unknown name "negative_prompt"'),
        ({"store": False}, "requires store=true"),
        ({"response_format": {"duration": "2s"}}, "between 3s and 15s"),
        ({"response_format": {"duration": "8"}}, "Invalid duration"),
        ({"response_format": {"duration": 8}}, "TYPE_STRING"),
        ({"response_format": {"resolution": "4K"}}, "Resolution"),
        ({"response_format": {"aspect_ratio": "1:1"}}, "AspectRatio"),
        ({"response_format": {"gcs_uri": "gs://b/o"}}, "gcs_uri"),
        ({"model": "gemini-omni-1.1-flash", "response_format": {"duration": "11s"}}, "between 3s and 10s"),
        ({"previous_interaction_id": "v1_nothing"}, "Invalid interaction name"),
        ({"input": [{"type": "user_input", "content": [{"type": "picture"}]}]}, "picture"),
        ({"input": [{"type": "user_input", "content": [{"type": "text", "txt": "x"}]}]}, 'Unknown name "txt"'),
        ({"input": [{"type": "image", "data": "AAAA", "mime_type": "image/png"}]}, "Unable to process input image"),
        ({"input": [{"type": "image", "mime_type": "image/png"}]}, "Exactly one of data and uri"),
        ({"system_instruction": "be kind"}, "System instructions"),
    ],
)
def test_wrong_request_is_refused_and_costs_nothing(
    clips: Any, emulator: EmulatorHandle, extra: Any, words: Any
) -> None:
    assert words in refusal(clips.order(**extra))
    assert emulator.bill()["paid_submissions"] == 0


@pytest.mark.parametrize("model", ["gemini-omni-flash-preview", "veo-3.1-generate-preview", "gemini-omni-9"])
def test_model_that_is_gone_or_unknown_is_a_404(clips: Any, model: Any) -> None:
    assert model in refusal(clips.order(model=model), 404)


def test_unknown_interaction_is_a_400_everywhere(client: httpx.Client) -> None:
    for method, path in (("GET", "v1_x"), ("POST", "v1_x/cancel"), ("DELETE", "v1_x")):
        assert refusal(client.request(method, f"/v1/interactions/{path}")) == "Invalid interaction name"


def test_reference_limits_follow_the_model(clips: Any, png: Callable[..., bytes], b64: Callable[[bytes], str]) -> None:
    block = {"type": "image", "mime_type": "image/png", "data": b64(png())}
    assert clips.order([block] * 6, task="reference_to_video").status_code == 200
    assert "At most 6" in refusal(clips.order([block] * 7, task="reference_to_video"))
    refused = clips.order([block] * 4, task="reference_to_video", model="gemini-omni-1.1-flash")
    assert "At most 3" in refusal(refused)


def test_film_starts_with_its_first_frame_and_ends_with_its_last(
    clips: Any, png: Callable[..., bytes], b64: Callable[[bytes], str], tmp_path: Path
) -> None:
    import subprocess

    from PIL import Image

    from mediagen.emulator.ffmpeg import find_ffmpeg

    blocks = [{"type": "image", "mime_type": "image/png", "data": b64(png(colour))} for colour in ("red", "blue")]
    text = {"type": "text", "text": "[# Sources <FIRST_FRAME>@Image1 <LAST_FRAME>@Image2] morph"}
    film = tmp_path / "film.mp4"
    film.write_bytes(clips.film(clips.order([*blocks, text])))
    frames = [find_ffmpeg(None), "-loglevel", "error", "-i", str(film), str(tmp_path / "%03d.png")]
    subprocess.run(frames, check=True)
    paths = sorted(tmp_path.glob("*.png"))
    assert len(paths) == 72
    for path, strong in ((paths[0], 0), (paths[-1], 2)):
        pixel: Any = Image.open(path).convert("RGB").getpixel((320, 180))
        assert pixel[strong] > 200 > 60 > pixel[2 - strong]


def test_extension_holds_the_original_and_the_new_part(clips: Any, probe_bytes: Callable[[bytes], Probe]) -> None:
    first = clips.wait(clips.order(response_format={"aspect_ratio": "9:16"}))
    ordered = clips.order(
        "more", task="extend", previous_interaction_id=first["id"], response_format={"resolution": None}
    )
    film = probe_bytes(clips.film(ordered))
    assert (film.width, film.height, film.duration_seconds) == (360, 640, 6.0)
    assert clips.get(ordered.json()["id"])["usage"]["total_output_tokens"] == 5793


def test_extension_takes_inline_videos_and_may_return_the_new_part_alone(
    make_film: Callable[..., bytes], b64: Callable[[bytes], str], probe_bytes: Callable[[bytes], Probe]
) -> None:
    video = {"type": "video", "mime_type": "video/mp4", "data": b64(make_film())}
    body: dict[str, Any] = {
        "model": "gemini-omni-1.2-flash",
        "input": [video],
        "generation_config": {"video_config": {"task": "extend"}},
        "response_format": {"type": "video", "duration": "4s"},
    }
    settings = EmulatorSettings(video_seconds=0, extend_returns="new_part")
    with running_emulator(settings) as handle, httpx.Client(headers={"x-goog-api-key": "k"}, timeout=20) as http:
        answer = http.post(f"{handle.url}/v1beta/interactions", json=body).json()
    film = probe_bytes(base64.b64decode(answer["steps"][-1]["content"][0]["data"]))
    assert (film.width, film.height, film.duration_seconds) == (128, 72, 4.0)


@pytest.mark.parametrize(
    ("film", "wanted", "words"),
    [
        ({"fps": "25"}, {}, "Video fps mismatch. Expected: 24 got: 25"),
        ({"fps": "24000/1001"}, {}, "Video fps mismatch. Expected: 24 got: 23"),
        ({"codec": "mpeg4"}, {}, "only MP4 with H.264"),
        ({"suffix": "mkv"}, {}, "only MP4 with H.264"),
        ({"seconds": 25}, {"duration": "6s"}, "too long to extend"),
        ({}, {"duration": "11s"}, "between 3s and 10s"),
    ],
)
def test_film_that_cannot_be_extended_is_refused(
    clips: Any, emulator: EmulatorHandle, make_film: Callable[..., bytes], film: Any, wanted: Any, words: Any
) -> None:
    file = clips.upload(make_film(**film))
    video = {"type": "video", "mime_type": "video/mp4", "uri": file["uri"]}
    assert words in refusal(clips.order([video], task="extend", response_format=wanted))
    assert emulator.bill()["paid_submissions"] == 0


def test_unreadable_unknown_and_unready_videos_are_refused(clips: Any, b64: Callable[[bytes], str]) -> None:
    def extend(**video: str) -> httpx.Response:
        answer: httpx.Response = clips.order([{"type": "video", "mime_type": "video/mp4"} | video], task="extend")
        return answer

    assert "Unable to process input video" in refusal(extend(data=b64(b"no film")))
    google = "https://generativelanguage.googleapis.com/v1beta/files/abc123"
    assert extend(uri=google).status_code == 403
    assert "needs exactly one video" in refusal(clips.order("x", task="extend"))


def test_edited_film_keeps_its_length(
    clips: Any, make_film: Callable[..., bytes], b64: Callable[[bytes], str], probe_bytes: Callable[[bytes], Probe]
) -> None:
    video = {"type": "video", "mime_type": "video/mp4", "data": b64(make_film())}
    ordered = clips.order([video, {"type": "text", "text": "make it anime"}], task="edit")
    assert probe_bytes(clips.film(ordered)).duration_seconds == 3.0


def test_missing_ffmpeg_fails_the_interaction_and_is_not_billed() -> None:
    settings = EmulatorSettings(video_seconds=0, ffmpeg="/nowhere/ffmpeg")
    body = {"model": "gemini-omni-1.2-flash", "input": "x"}
    with running_emulator(settings) as handle:
        answer = httpx.post(f"{handle.url}/v1/interactions", json=body, headers={"x-goog-api-key": "k"}).json()
        bill = handle.bill()
    assert answer["status"] == "failed"
    assert 'pip install "mediagen-mcp[emulator]"' in answer["errors"][0]["message"]
    assert bill["paid_submissions"] == 0


def test_cancelled_and_deleted_interactions_stay_so(clips: Any, client: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="stuck")
    interaction_id = clips.order().json()["id"]
    assert client.post(f"/v1/interactions/{interaction_id}/cancel").json()["status"] == "cancelled"
    assert clips.get(interaction_id)["status"] == "cancelled"
    assert client.delete(f"/v1/interactions/{interaction_id}").json() == {}
    assert client.get(f"/v1/interactions/{interaction_id}").status_code == 400


def test_input_is_shown_only_on_request(clips: Any, client: httpx.Client) -> None:
    done = clips.wait(clips.order("a cat"))
    shown = client.get(f"/v1/interactions/{done['id']}?include_input=true&stream=false").json()
    assert ("input" in done, shown["input"]) == (False, "a cat")


def test_film_above_the_inline_limit_fails_unless_it_is_delivered_by_uri() -> None:
    settings = EmulatorSettings(video_seconds=0, inline_limit_bytes=1000)
    wanted = {"type": "video", "resolution": "360p", "duration": "3s"}
    body = {"model": "gemini-omni-1.2-flash", "input": "x"}
    with running_emulator(settings) as handle, httpx.Client(headers={"x-goog-api-key": "k"}, timeout=20) as http:
        answers = [
            http.post(f"{handle.url}/v1/interactions", json=body | {"response_format": wanted | extra}).json()
            for extra in ({}, {"delivery": "inline"}, {"delivery": "uri"})
        ]
    assert [answer["status"] for answer in answers] == ["failed", "failed", "completed"]
    assert 'delivery "uri"' in answers[0]["errors"][0]["message"]
