"""Films as sources: which of them the emulated surfaces extend and edit, and in which words they refuse the others."""

import base64
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagen.emulator.ffmpeg import Probe, find_ffmpeg
from mediagen.emulator.film_inputs import Film, source_refusal
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.errors import ConfigurationError

WAIT_SECONDS = 60.0
OMNI, OLD_OMNI, VEO = "gemini-omni-1.2-flash", "gemini-omni-1.1-flash", "veo-3.1-fast-generate-001"
PROJECT = "/v1beta1/projects/test-project/locations/us-central1"
GLOBAL = "/v1beta1/projects/test-project/locations/global"
LONG_SECONDS = 60
HOURS, DAYS = 3600.0, 86_400.0
FORMAT = "Unsupported video: only MP4 with H.264"
NOT_A_FILM = "Unable to process input video."
BROKEN_OFF = "broken off"

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
FILMS: dict[str, tuple[str, ...]] = {
    "23.976": ("-r", "24000/1001", *H264, "film.mp4"),
    "25": ("-r", "25", *H264, "film.mp4"),
    "30": ("-r", "30", *H264, "film.mp4"),
    "24.02": ("-r", "2402/100", *H264, "film.mp4"),
    "23.995": ("-r", "23995/1000", *H264, "film.mp4"),
    "variable": ("-vf", "setpts=if(lt(N\\,12)\\,N*1.5\\,6+N)/24/TB", "-fps_mode", "vfr", *H264, "film.mp4"),
    "hevc": ("-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p", "film.mp4"),
    "mpeg4": ("-c:v", "mpeg4", "film.mp4"),
    "10 bits": ("-c:v", "libx264", "-pix_fmt", "yuv420p10le", "film.mp4"),
    "4:4:4": ("-c:v", "libx264", "-pix_fmt", "yuv444p", "film.mp4"),
    "webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "film.webm"),
    "prores": ("-c:v", "prores", "film.mov"),
    "mov": (*H264, "film.mov"),
    "mkv": (*H264, "film.mkv"),
    "mp3": (*H264, "-c:a", "libmp3lame", "film.mp4"),
    "opus": (*H264, "-c:a", "libopus", "film.mp4"),
    "aac": (*H264, "-c:a", "aac", "film.mp4"),
    "silent": (*H264, "-an", "film.mp4"),
    "sound only": ("-vn", "-c:a", "aac", "film.mp4"),
}
REFUSED: dict[str, str] = {
    "23.976": "Video fps mismatch. Expected: 24 got: 23",
    "25": "Video fps mismatch. Expected: 24 got: 25",
    "30": "Video fps mismatch. Expected: 24 got: 30",
    "24.02": "Video fps mismatch. Expected: 24 got: 24.02",
    "variable": "Video fps mismatch. Expected: 24 got: ",
    "hevc": FORMAT,
    "mpeg4": FORMAT,
    "10 bits": FORMAT,
    "4:4:4": FORMAT,
    "webm": FORMAT,
    "prores": FORMAT,
    "mov": FORMAT,
    "mkv": FORMAT,
    "mp3": FORMAT,
    "opus": FORMAT,
    "sound only": NOT_A_FILM,
    BROKEN_OFF: NOT_A_FILM,
}


@pytest.fixture(scope="session")
def film_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    folder = tmp_path_factory.mktemp("sources")
    made: dict[Any, bytes] = {}

    def run(*arguments: str) -> bytes:
        target = folder / arguments[-1]
        subprocess.run([find_ffmpeg(None), "-y", "-loglevel", "error", *arguments[:-1], str(target)], check=True)
        return target.read_bytes()

    def encode(kind: str, seconds: float, size: str) -> bytes:
        *encoding, name = FILMS[kind]
        sources = [f"color=c=blue:size={size}:rate=24:duration={seconds}", f"sine=duration={seconds}"]
        inputs = [argument for text in sources for argument in ("-f", "lavfi", "-i", text)]
        placing = ["-movflags", "+faststart"] if name.endswith((".mp4", ".mov")) else []
        return run(*inputs, *encoding, *placing, name)

    def repeat(seconds: float, size: str) -> bytes:
        (folder / "second.mp4").write_bytes(make("silent", seconds=1, size=size))
        return run("-stream_loop", str(round(seconds) - 1), "-i", str(folder / "second.mp4"), "-c", "copy", "long.mp4")

    def make(kind: str = "aac", *, seconds: float = 3, size: str = "1280x720") -> bytes:
        if kind == BROKEN_OFF:
            whole = make(seconds=seconds, size=size)
            return whole[: len(whole) * 3 // 4]
        key = (kind, seconds, size)
        if key not in made:
            made[key] = repeat(seconds, size) if seconds > LONG_SECONDS else encode(kind, seconds, size)
        return made[key]

    return make


class Orders:
    """Extends and edits films of all surfaces over raw HTTP."""

    def __init__(self, emulator: EmulatorHandle, b64: Callable[[bytes], str]) -> None:
        self.emulator = emulator
        self._b64 = b64
        self.http = httpx.Client(base_url=emulator.url, timeout=WAIT_SECONDS)

    def send(self, path: str, body: dict[str, Any]) -> httpx.Response:
        is_gemini = path.startswith("/v1/")
        headers = {"x-goog-api-key": "AQ.x"} if is_gemini else {"authorization": "Bearer ya29.ready"}
        return self.http.post(path, json=body, headers=headers)

    def omni(self, video: dict[str, str] | None, *, at: str = "/v1", task: str = "extend", **extra: Any) -> Any:
        content = [{"type": "video", "mime_type": "video/mp4"} | video] if video else []
        parts = [{name: value for name, value in part.items() if value} for part in content]
        body = {
            "model": OMNI,
            "background": True,
            "store": True,
            "input": [{"type": "user_input", "content": [*parts, {"type": "text", "text": "on"}]}],
            "generation_config": {"video_config": {"task": task}},
            "response_format": {"type": "video"} | ({"duration": "3s"} if task == "extend" else {}),
        }
        return self.send(f"{at}/interactions", body | extra)

    def veo(self, video: dict[str, str], parameters: dict[str, Any] | None = None, **instance: Any) -> httpx.Response:
        body = {"instances": [{"prompt": "on", "video": video, **instance}], "parameters": parameters or {}}
        return self.send(f"{PROJECT}/publishers/google/models/{VEO}:predictLongRunning", body)

    def store(self, content: bytes, name: str = "in.mp4") -> str:
        self.emulator.put_object("films", name, content, "video/mp4")
        return f"gs://films/{name}"

    def upload(self, content: bytes) -> str:
        headers = {"x-goog-api-key": "AQ.x", "x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
        started = self.http.post("/upload/v1/files", json={"file": {"mime_type": "video/mp4"}}, headers=headers)
        finish = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        file = self.http.post(started.headers["x-goog-upload-url"], content=content, headers=finish).json()["file"]
        deadline = time.monotonic() + WAIT_SECONDS
        while self.file(file["uri"]).json()["state"] != "ACTIVE":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return str(file["uri"])

    def file(self, uri: str) -> httpx.Response:
        return self.http.get(uri, headers={"x-goog-api-key": "AQ.x"})

    def every_way(self, content: bytes, task: str) -> dict[str, httpx.Response]:
        """Send one film by each way in which a film can be sent for a task."""
        data, stored = self._b64(content), self.store(content)
        ways = {
            "Gemini API, uploaded": self.omni({"uri": self.upload(content)}, task=task),
            "Vertex AI, bucket": self.omni({"uri": stored}, at=PROJECT, task=task),
        }
        if content:
            ways["Gemini API, inline"] = self.omni({"data": data}, task=task)
            ways["Vertex AI, inline"] = self.omni({"data": data}, at=PROJECT, task=task)
        if task == "extend":
            ways["Veo, bucket"] = self.veo({"gcsUri": stored, "mimeType": "video/mp4"})
        if task == "extend" and content:
            ways["Veo, inline"] = self.veo({"bytesBase64Encoded": data, "mimeType": "video/mp4"})
        return ways

    def finish(self, ordered: httpx.Response, at: str = "/v1") -> dict[str, Any]:
        assert ordered.status_code == 200, ordered.text
        deadline = time.monotonic() + WAIT_SECONDS
        headers = {"x-goog-api-key": "AQ.x"} if at == "/v1" else {"authorization": "Bearer ya29.ready"}
        path = f"{at}/interactions/{ordered.json()['id']}"
        while (shown := self.http.get(path, headers=headers).json())["status"] == "in_progress":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert shown["status"] == "completed", shown
        return dict(shown)

    def new(self, at: str = "/v1", **wanted: Any) -> dict[str, Any]:
        shape = {"type": "video", "resolution": "360p", "duration": "3s", **wanted}
        body = {"model": OMNI, "input": "a cat", "background": True, "store": True, "response_format": shape}
        return self.finish(self.send(f"{at}/interactions", body), at)


@pytest.fixture
def orders(emulator: EmulatorHandle, b64: Callable[[bytes], str]) -> Iterator[Orders]:
    made = Orders(emulator, b64)
    with made.http:
        yield made


def refusal(answer: httpx.Response, status_code: int = 400) -> str:
    assert answer.status_code == status_code, answer.text
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize("kind", sorted(REFUSED))
@pytest.mark.parametrize("task", ["extend", "edit"])
def test_film_of_the_wrong_kind_is_refused_on_each_way_unbilled(
    orders: Orders, film_of: Callable[..., bytes], task: str, kind: str
) -> None:
    for way, answer in orders.every_way(film_of(kind), task).items():
        assert refusal(answer).startswith(REFUSED[kind]), way
    assert orders.emulator.bill()["paid_submissions"] == 0


@pytest.mark.parametrize("kind", ["aac", "silent", "23.995"])
@pytest.mark.parametrize("task", ["extend", "edit"])
def test_film_of_the_right_kind_is_taken_on_each_way(
    orders: Orders, film_of: Callable[..., bytes], task: str, kind: str
) -> None:
    for way, answer in orders.every_way(film_of(kind, seconds=4), task).items():
        assert answer.status_code == 200, (way, answer.text)


def test_empty_file_is_refused_on_each_way(orders: Orders) -> None:
    for answer in orders.every_way(b"", "extend").values():
        assert refusal(answer) in {NOT_A_FILM, "video is empty"}


def test_rate_that_only_looks_right_on_average_is_refused() -> None:
    def words(fps: float, base_fps: float = 0.0) -> str:
        found = Probe(
            container="mov,mp4", codec="h264", width=1, height=1, fps=fps, duration_seconds=4, has_audio=False,
            base_fps=base_fps,
        )  # fmt: skip
        return source_refusal(Film(path=Path(), probe=found))

    assert words(24, 48).endswith("got: 48")
    assert words(24, 24) == words(24.01) == words(23.99) == ""
    assert words(29.97, 30).endswith("got: 29")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_addresses_of_the_web_count_as_empty(orders: Orders, scheme: str) -> None:
    uri = f"{scheme}://example.org/film.mp4"
    answers = [
        orders.omni({"uri": uri}),
        orders.omni({"uri": uri}, task="edit"),
        orders.omni({"uri": uri}, at=PROJECT),
        orders.veo({"gcsUri": uri, "mimeType": "video/mp4"}),
        orders.veo({"uri": uri, "mimeType": "video/mp4"}),
    ]
    assert {refusal(answer) for answer in answers} == {"video is empty"}


def test_addresses_of_the_other_surface_are_refused(orders: Orders, film_of: Callable[..., bytes]) -> None:
    stored, uploaded = orders.store(film_of()), orders.upload(film_of())
    assert refusal(orders.omni({"uri": stored})) == "Invalid or unsupported file uri."
    assert refusal(orders.omni({"uri": uploaded}, at=PROJECT)) == "video is empty"
    assert refusal(orders.veo({"gcsUri": uploaded, "mimeType": "video/mp4"})) == "video is empty"
    assert refusal(orders.veo({"uri": stored, "mimeType": "video/mp4"})) == "video is empty"
    assert "No such object" in refusal(orders.omni({"uri": "gs://films/none.mp4"}, at=PROJECT), 404)


def test_type_of_a_film_must_be_named_and_be_one(
    orders: Orders, film_of: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    stored, data = orders.store(film_of()), b64(film_of())
    untyped = [
        orders.omni({"data": data, "mime_type": ""}),
        orders.omni({"uri": stored, "mime_type": ""}, at=PROJECT),
        orders.veo({"gcsUri": stored}),
    ]
    assert {refusal(answer) for answer in untyped} == {"video mime type is empty"}
    # the Files API knows the type of its files
    assert orders.omni({"uri": orders.upload(film_of()), "mime_type": ""}).status_code == 200
    assert "Unsupported video mime type" in refusal(orders.omni({"data": data, "mime_type": "image/png"}))


@pytest.mark.parametrize("task", ["extend", "edit"])
def test_files_end_after_two_days(orders: Orders, film_of: Callable[..., bytes], task: str) -> None:
    uploaded = orders.upload(film_of())
    produced = orders.new(delivery="uri")["steps"][-1]["content"][0]["uri"]
    orders.emulator.age_files(47 * HOURS)
    assert orders.omni({"uri": produced}, task=task).status_code == 200
    orders.emulator.age_files(1 * HOURS)
    for uri in (uploaded, produced):
        assert "or it may not exist" in refusal(orders.omni({"uri": uri}, task=task), 403)
        assert orders.file(uri).status_code == 403
    listed = orders.http.get("/v1/files", headers={"x-goog-api-key": "AQ.x"}).json()
    assert uploaded not in [file["uri"] for file in listed.get("files", [])]


def test_continuing_outlives_the_file_only_where_there_is_none(orders: Orders) -> None:
    orders.emulator.make_bucket("films")
    filed, inline = orders.new(delivery="uri"), orders.new()
    stored = orders.new(PROJECT, delivery="uri", gcs_uri="gs://films/out/")
    orders.emulator.age(3 * DAYS)
    assert "has expired" in refusal(orders.omni(None, previous_interaction_id=filed["id"]))
    assert orders.omni(None, previous_interaction_id=inline["id"]).status_code == 200
    assert orders.omni(None, at=PROJECT, previous_interaction_id=stored["id"]).status_code == 200


@pytest.mark.parametrize("at", ["/v1", PROJECT])
def test_interactions_are_unknown_after_55_days(orders: Orders, at: str) -> None:
    made = orders.new(at)
    orders.http.post("/emulator/age", json={"seconds": 54 * DAYS}).raise_for_status()
    assert orders.omni(None, at=at, previous_interaction_id=made["id"]).status_code == 200
    orders.http.post("/emulator/age", json={"seconds": 1 * DAYS}).raise_for_status()
    refused = orders.omni(None, at=at, previous_interaction_id=made["id"])
    assert refusal(refused) == "Invalid interaction name"
    assert orders.omni(None, at=at, previous_interaction_id="v1_none").json() == refused.json()


@pytest.mark.parametrize("seconds", [-1, "day", None, True, 1e18])
def test_time_that_cannot_pass_is_refused(orders: Orders, seconds: Any) -> None:
    assert orders.http.post("/emulator/age", json={"seconds": seconds}).status_code == 400


@pytest.mark.parametrize(
    ("size", "seconds", "words"),
    [
        ("640x360", 3, "Unsupported input video resolution 640x360"),
        ("720x720", 3, "Unsupported input video resolution 720x720"),
        ("960x720", 3, "Unsupported input video resolution 960x720"),
        ("1280x720", 0.5, "Video is too short to extend"),
        ("1280x720", 142, "Video is too long to extend"),
    ],
)
def test_veo_extends_only_sizes_and_lengths_of_its_own(
    orders: Orders, film_of: Callable[..., bytes], size: str, seconds: float, words: str
) -> None:
    stored = orders.store(film_of(size=size, seconds=seconds))
    assert refusal(orders.veo({"gcsUri": stored, "mimeType": "video/mp4"})).startswith(words)


@pytest.mark.parametrize(("size", "seconds"), [("720x1280", 1), ("1920x1080", 3), ("1280x720", 141)])
def test_veo_extends_up_to_148_seconds(
    orders: Orders, film_of: Callable[..., bytes], size: str, seconds: float
) -> None:
    stored = orders.store(film_of(size=size, seconds=seconds))
    orders.emulator.add_fault(fault="stuck")
    video = {"gcsUri": stored, "mimeType": "video/mp4"}
    assert orders.veo(video, {"durationSeconds": 7}).status_code == 200
    assert "for feature video_extension" in refusal(orders.veo(video, {"durationSeconds": 8}))


@pytest.mark.parametrize(
    ("model", "task", "seconds", "words"),
    [
        (OMNI, "extend", 27, ""),
        (OMNI, "extend", 28, "too long to extend"),
        (OLD_OMNI, "extend", 37, ""),
        (OLD_OMNI, "extend", 38, "too long to extend"),
        (OMNI, "edit", 15, ""),
        (OMNI, "edit", 16, "too long to edit: at most 15s"),
        (OMNI, "edit", 2, "too short to edit: at least 3s"),
        (OLD_OMNI, "edit", 10, ""),
        (OLD_OMNI, "edit", 11, "too long to edit: at most 10s"),
    ],
)
def test_omni_takes_sources_of_the_length_that_each_model_has(
    orders: Orders, film_of: Callable[..., bytes], model: str, task: str, seconds: float, words: str
) -> None:
    stored = orders.store(film_of(size="128x72", seconds=seconds))
    orders.emulator.add_fault(fault="stuck")
    answer = orders.omni({"uri": stored}, at=GLOBAL, task=task, model=model)
    if words:
        assert words in refusal(answer)
    else:
        assert answer.status_code == 200, answer.text


def test_veo_takes_a_last_frame_or_references_beside_the_film_not_both(
    orders: Orders, film_of: Callable[..., bytes], png: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    video = {"gcsUri": orders.store(film_of()), "mimeType": "video/mp4"}
    picture = {"bytesBase64Encoded": b64(png()), "mimeType": "image/png"}
    reference = {"image": picture, "referenceType": "asset"}
    assert orders.veo(video, lastFrame=picture).status_code == 200
    assert orders.veo(video, {"durationSeconds": 7}, referenceImages=[reference]).status_code == 200
    assert {item["usd"] for item in orders.emulator.bill()["items"]} == {"0.70"}
    both = orders.veo(video, lastFrame=picture, referenceImages=[reference])
    assert refusal(both) == "lastFrame and referenceImages cannot be set together."
    assert both.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert "at most 3" in refusal(orders.veo(video, referenceImages=[reference] * 4))
    assert "this mix" in refusal(orders.veo(video, referenceImages=[reference | {"referenceType": "STYLE"}]))
    assert refusal(orders.veo(video, lastFrame={"mimeType": "image/png"})) == "image is empty"
    assert "cannot be set together" in refusal(orders.veo(video, image=picture))
    assert orders.emulator.bill()["paid_submissions"] == 2


def test_guided_extension_is_as_long_as_a_plain_one(
    orders: Orders,
    film_of: Callable[..., bytes],
    png: Callable[..., bytes],
    b64: Callable[[bytes], str],
    probe_bytes: Callable[[bytes], Probe],
) -> None:
    orders.emulator.make_bucket("out")
    video = {"gcsUri": orders.store(film_of()), "mimeType": "video/mp4"}
    picture = {"bytesBase64Encoded": b64(png()), "mimeType": "image/png"}
    assert orders.veo(video, {"storageUri": "gs://out"}, lastFrame=picture).status_code == 200
    deadline = time.monotonic() + WAIT_SECONDS
    while not (made := orders.emulator.objects("out")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    content = orders.emulator.object_bytes("out", made[0]["name"])
    assert probe_bytes(content).duration_seconds == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("at", ["/v1", PROJECT])
@pytest.mark.parametrize("task", ["extend", "edit"])
def test_region_refuses_uploaded_films_alone(
    orders: Orders, film_of: Callable[..., bytes], b64: Callable[[bytes], str], at: str, task: str
) -> None:
    orders.emulator.add_fault(fault="region", times=2)
    made = orders.new(at)
    assert orders.omni(None, at=at, task=task, previous_interaction_id=made["id"]).status_code == 200
    billed = orders.emulator.bill()["paid_submissions"]
    named = {"uri": orders.upload(film_of()) if at == "/v1" else orders.store(film_of())}
    for video in (named, {"data": b64(film_of())}):
        answer = orders.omni(video, at=at, task=task)
        assert refusal(answer) == "User location is not supported for editing or extending uploaded videos."
        assert answer.json()["error"]["code"] == "failed_precondition"
    assert orders.emulator.bill()["paid_submissions"] == billed
    assert orders.omni(named, at=at, task=task).status_code == 200


def test_region_may_be_asked_for_in_the_prompt_and_as_a_setting(
    orders: Orders, film_of: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    video = {"type": "video", "mime_type": "video/mp4", "data": b64(film_of())}
    content = [video, {"type": "text", "text": "on [[fault:region]]"}]
    assert "User location" in refusal(orders.omni(None, input=content))
    assert orders.new()["status"] == "completed"
    with running_emulator(EmulatorSettings(video_seconds=0, region_refuses_uploaded_video=True)) as handle:
        european = Orders(handle, b64)
        with european.http:
            assert "User location" in refusal(european.omni({"data": video["data"]}))
            assert european.omni(None, previous_interaction_id=european.new()["id"]).status_code == 200
    with pytest.raises(ConfigurationError):
        orders.emulator.add_fault(fault="regions")


def test_use_case_may_be_refused(orders: Orders, film_of: Callable[..., bytes]) -> None:
    orders.emulator.add_fault(fault="use_case_unsupported")
    answer = orders.veo({"gcsUri": orders.store(film_of()), "mimeType": "video/mp4"})
    assert refusal(answer).startswith("Your use case is currently not supported")


def test_new_part_alone_comes_back_on_both_surfaces(
    film_of: Callable[..., bytes], b64: Callable[[bytes], str], probe_bytes: Callable[[bytes], Probe]
) -> None:
    content = film_of(size="1280x720")
    with running_emulator(EmulatorSettings(video_seconds=0, extend_returns="new_part")) as handle:
        orders = Orders(handle, b64)
        with orders.http:
            handle.make_bucket("out")
            for at in ("/v1", PROJECT):
                shown = orders.finish(orders.omni({"data": b64(content)}, at=at), at)
                film = probe_bytes(base64.b64decode(shown["steps"][-1]["content"][0]["data"]))
                assert film.duration_seconds == pytest.approx(3.0, abs=0.1)
                assert film.width == 1280
            video = {"bytesBase64Encoded": b64(content), "mimeType": "video/mp4"}
            assert orders.veo(video, {"storageUri": "gs://out"}).status_code == 200
            deadline = time.monotonic() + WAIT_SECONDS
            while not (made := handle.objects("out")):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            film = probe_bytes(handle.object_bytes("out", made[0]["name"]))
            assert film.duration_seconds == pytest.approx(7.0, abs=0.1)


def test_film_of_endless_tiny_boxes_is_refused_in_time(orders: Orders) -> None:
    content = bytes.fromhex("0000000c66747970") + b"isom" + (8).to_bytes(4) * 2_000_000
    started = time.monotonic()
    assert refusal(orders.omni({"uri": orders.store(content)}, at=PROJECT)) == NOT_A_FILM
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["Füchse 🦊/a b.mp4", "x?y#z%20.mp4"])
def test_sources_of_odd_names_are_found(orders: Orders, film_of: Callable[..., bytes], name: str) -> None:
    stored = orders.store(film_of(), name)
    assert orders.omni({"uri": stored}, at=PROJECT).status_code == 200
    assert orders.veo({"gcsUri": stored, "mimeType": "video/mp4"}).status_code == 200
