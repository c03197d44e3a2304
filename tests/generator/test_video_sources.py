"""Every kind of video that a caller may name, for every model that takes one: what is sent, and what it costs."""

import os
import shutil
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conftest import DATA, paid
from tests.generator.planning import OMNI_11, VEO, MakeSettings, both, change_of, extend, make_clip, vertex
from tests.runner.asking import change

from mediagen.app.app import App, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import AuthenticationError, EndpointError, InvalidRequestError, JobNotFoundError, MediaGenError
from mediagen.jobs import Progress
from mediagen.media.fetch import FetchSettings
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.report.job import JobReport
from mediagen.requests import ExtendVideoRequest, GenerateVideoRequest
from mediagen.settings import Settings

BUNNY = DATA / "bigbuckbunny.mp4"  # 25 fps, 5.1 sound
LOCAL = FetchSettings(allow_hosts=frozenset({"127.0.0.1"}))
TARGETS: dict[str, dict[str, Any]] = {
    "Gemini Omni": {"backend": "gemini", "model": OMNI_11, "duration_seconds": 3},
    "Vertex Veo": {"backend": "vertex", "model": VEO},
    "Vertex Omni": {"backend": "vertex", "model": OMNI_11, "duration_seconds": 3},
}
IN_BUCKET = {"GCS_BUCKET": "media"}


@pytest.fixture
def settings(emulator: EmulatorHandle, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    emulator.make_bucket("media")
    # Google's library looks there itself.
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    return make_settings(**both(emulator.url, **IN_BUCKET))


@pytest.fixture
def inputs(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "inputs"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves the test data over https on loopback."""
    certificate = certificate_of_loopback(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(DATA))

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def certificate_of_loopback(folder: Path) -> Path:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


def sent(emulator: EmulatorHandle) -> Any:
    """The video in the one paid body."""
    bodies = [r["body"] for r in emulator.requests() if r["path"].endswith((":predictLongRunning", "/interactions"))]
    assert len(bodies) == 1, len(bodies)
    return bodies[0]


def is_mended(report: JobReport, field: str = "source") -> bool:
    return change_of(report, f"{field}.fps") == ("25 fps", "24 fps")


async def made(app: App, **values: Any) -> JobReport:
    """A clip of our own."""
    asked = {"prompt": "waves", "duration_seconds": 4, "resolution": "720p", **values}
    return await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))


def uri_in(emulator: EmulatorHandle) -> str:
    """The address of the video in the last paid body."""
    bodies = [r["body"] for r in emulator.requests() if r["path"].endswith("/interactions")]
    return str(next(part["uri"] for step in bodies[-1]["input"] for part in step["content"] if part["type"] == "video"))


def make_webm(path: Path) -> Path:
    source = "color=c=teal:size=320x180:rate=25:duration=1"
    options = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"]
    subprocess.run(
        [find_ffmpeg(None), "-v", "error", "-f", "lavfi", "-i", source, *options, str(path)], check=True, timeout=30
    )
    return path


@pytest.fixture
def ledger_file(environment: dict[str, str]) -> Path:
    return Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3"


async def source_record(app: App, report: JobReport, field: str = "source") -> dict[str, Any]:
    job = await app.generator.ledger.get(report.job_id or "")
    return dict(job.input_files[field][0])


# ---------------------------------------------------------------- files of other makes


@pytest.fixture(scope="session")
def clip_of_25_fps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip whose conversion takes a moment, in place of the real one."""
    return make_clip(tmp_path_factory.mktemp("clips") / "25.mp4", width=1280, height=720, seconds=2, fps=25)


# Every kind of place and every surface, and of a bucket both: Vertex could be given the object as it is, Gemini cannot.
@pytest.mark.parametrize(
    ("kind", "target"),
    [("path", "Gemini Omni"), ("gs", "Gemini Omni"), ("gs", "Vertex Veo"), ("https", "Vertex Omni")],
)
async def test_a_25_fps_clip_from_anywhere_is_made_acceptable_and_extended(
    settings: Settings, emulator, work: Path, inputs: Path, web: str, target: str, kind: str
):
    shutil.copy(BUNNY, work / "bunny 🐰.mp4")
    emulator.put_object("media", "in/bunny.mp4", BUNNY.read_bytes(), "video/mp4")
    sources = {"path": "bunny 🐰.mp4", "gs": "gs://media/in/bunny.mp4", "https": f"{web}/bigbuckbunny.mp4?sig=s3cr3t"}
    async with open_app(settings, web=LOCAL) as app:
        report = await extend(app, sources[kind], **TARGETS[target])
        record = await source_record(app, report)
    assert report.status == "succeeded", report.error
    assert is_mended(report)
    assert paid(emulator) == 1
    assert "s3cr3t" not in str(report)
    assert Path(record["path"]).parent == inputs
    assert record["duration_seconds"] == report.effective["source_seconds"]
    address = str(sent(emulator))
    assert ("/files/" in address) == (target == "Gemini Omni")
    assert ("gs://media/" in address) == (target != "Gemini Omni")
    assert "gs://media/in/bunny.mp4" not in address


async def test_a_call_tells_how_far_its_video_is_fetched_and_converted(settings: Settings, web: str):
    told: list[Progress] = []

    async def keep(progress: Progress) -> None:
        told.append(progress)

    values = {"prompt": "more", "source": f"{web}/bigbuckbunny.mp4?sig=s3cr3t", **TARGETS["Gemini Omni"]}
    async with open_app(settings, web=LOCAL) as app:
        await app.generator.extend_video(ExtendVideoRequest.model_validate(values), keep)
    words = [progress.message for progress in told]
    assert words[0].startswith("fetching source: ")
    assert "converting source: 100%" in words
    assert "s3cr3t" not in str(told)
    assert max(progress.fraction for progress in told if "ing source" in progress.message) < 0.05


async def test_an_object_that_fits_is_passed_on_by_its_own_address(settings: Settings, emulator, work: Path):
    clip = make_clip(work / "good.mp4", width=1280, height=720, seconds=4)
    emulator.put_object("media", "good.mp4", clip.read_bytes(), "video/mp4")
    async with open_app(settings) as app:
        report = await extend(app, "gs://media/good.mp4", **TARGETS["Vertex Veo"])
        record = await source_record(app, report)
    assert report.status == "succeeded", report.error
    assert sent(emulator)["instances"][0]["video"]["gcsUri"] == "gs://media/good.mp4"
    assert record["duration_seconds"] == report.effective["source_seconds"] == 4


async def test_an_object_that_may_not_be_read_is_passed_on_with_a_warning(settings: Settings, emulator, work: Path):
    clip = make_clip(work / "good.mp4", width=1280, height=720, seconds=4)
    emulator.put_object("theirs", "good.mp4", clip.read_bytes(), "video/mp4")
    emulator.deny_bucket("theirs")
    async with open_app(settings) as app:
        try:
            report = await extend(app, "gs://theirs/good.mp4", **TARGETS["Vertex Veo"])
        except MediaGenError as error:
            pytest.fail(f"refused here: {error}")
        with pytest.raises(EndpointError) as barred:
            await extend(app, "gs://theirs/good.mp4", **TARGETS["Gemini Omni"])
    assert any("passed on unchecked" in warning for warning in report.warnings)
    assert barred.value.code == "bucket_forbidden"


@pytest.mark.parametrize("target", TARGETS)
async def test_a_missing_object_is_an_error_before_anything_is_paid(settings: Settings, emulator, target: str):
    async with open_app(settings) as app:
        with pytest.raises(EndpointError) as missing:
            await extend(app, "gs://media/none.mp4", **TARGETS[target])
    assert (missing.value.code, paid(emulator)) == ("object_missing", 0)


async def test_an_object_without_storage_credentials_says_what_to_set(emulator, make_settings: MakeSettings):
    async with open_app(make_settings(MEDIAGEN_BACKEND="gemini", GEMINI_API_KEY="AIza-films")) as app:
        with pytest.raises(AuthenticationError, match="GOOGLE_APPLICATION_CREDENTIALS"):
            await extend(app, "gs://media/none.mp4")
    assert emulator.requests() == []


async def test_an_edit_takes_a_clip_of_another_make_from_the_web(settings: Settings, emulator, web: str):
    asked = {"prompt": "at night", "video": f"{web}/bigbuckbunny.mp4", "model": OMNI_11, "backend": "gemini"}
    async with open_app(settings, web=LOCAL) as app:
        report = await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))
    assert report.status == "succeeded", report.error
    assert is_mended(report, "video")
    assert paid(emulator) == 1


@pytest.mark.parametrize("source", ["clip 🎬.webm", "gs://media/clip.webm"])
async def test_a_remix_takes_frames_of_any_container_from_anywhere(settings: Settings, emulator, work: Path, source):
    clip = make_webm(work / "clip 🎬.webm")
    emulator.put_object("media", "clip.webm", clip.read_bytes(), "video/webm")
    asked = {"remix_from": source, "remix_start": "last", "model": OMNI_11, "backend": "gemini", "duration_seconds": 3}
    async with open_app(settings) as app:
        report = await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))
    assert report.status == "succeeded", report.error
    assert report.effective["source_frame"] == "last"
    assert "source_last_frame" not in report.effective
    assert report.mode == "remix"


async def test_the_frames_of_a_remix_are_told(settings: Settings, work: Path):
    make_clip(work / "clip.mp4", width=640, height=360, seconds=2)
    async with open_app(settings) as app:
        asked = {"remix_from": "clip.mp4", "remix_start": "0.5", "remix_last_frame": True, "dry_run": True}
        report = await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))
    assert (report.effective["source_frame"], report.effective["source_last_frame"]) == (0.5, "last")


# ---------------------------------------------------------------- files of the Gemini API


async def test_a_living_file_of_the_gemini_api_is_passed_on_and_a_dead_one_refused(settings, emulator, work: Path):
    clip = make_clip(work / "good.mp4", width=1280, height=720, seconds=4)
    async with open_app(settings) as app:
        first = await extend(app, clip, **TARGETS["Gemini Omni"])
        uploaded = uri_in(emulator)
        assert "/files/" in uploaded
        second = await extend(app, uploaded, prompt="and more", **TARGETS["Gemini Omni"])
        assert (first.status, second.status, paid(emulator)) == ("succeeded", "succeeded", 2)
        with pytest.raises(InvalidRequestError, match="48 hours") as stale:
            await extend(app, f"{emulator.url}/v1beta/files/gone0", **TARGETS["Gemini Omni"])
        with pytest.raises(InvalidRequestError) as uploads:
            await extend(app, uploaded, **TARGETS["Vertex Veo"])
    assert stale.value.code == "source_expired"
    assert uploads.value.code == "source_not_downloadable"
    assert paid(emulator) == 2


async def test_a_file_of_our_own_ledger_outlives_its_two_days(settings: Settings, emulator, ledger_file: Path):
    async with open_app(settings) as app:
        clip = await made(app, backend="gemini", model=OMNI_11, resolution="1080p")
        job = await app.generator.ledger.get(clip.job_id or "")
        uri = job.calls[0].remote_uris[0]
        change(ledger_file, "UPDATE jobs SET created_at = '2026-01-01T00:00:00+00:00'")
        emulator.reset()
        emulator.make_bucket("media")
        report = await extend(app, f"{uri}:download?alt=media", **TARGETS["Gemini Omni"])
        on_vertex = await extend(app, uri, **TARGETS["Vertex Omni"])
        parent = (await app.generator.ledger.get(report.job_id or "")).parent_job_id
    assert (report.status, parent) == ("succeeded", clip.job_id), report.error
    assert on_vertex.status == "succeeded", on_vertex.error
    assert paid(emulator) == 2


async def test_a_gemini_file_without_a_gemini_key_says_what_to_set(emulator, make_settings: MakeSettings):
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        with pytest.raises(InvalidRequestError, match="GEMINI_API_KEY"):
            await extend(app, "https://generativelanguage.googleapis.com/v1beta/files/abc", model=VEO)
    assert emulator.requests() == []


# ---------------------------------------------------------------- clips of ours


async def test_a_moved_clip_is_had_from_where_google_keeps_it_or_its_loss_is_told(
    settings: Settings, emulator, ledger_file: Path
):
    async with open_app(settings) as app:
        omni = await made(app, backend="gemini", model=OMNI_11, resolution="1080p")
        omni.artifacts[0].file.unlink()
        by_name = await extend(app, omni.job_id, **TARGETS["Gemini Omni"])
        assert by_name.status == "succeeded", by_name.error
        fetched = await extend(app, omni.job_id, **TARGETS["Vertex Omni"])
        assert fetched.status == "succeeded", fetched.error
        change(ledger_file, "UPDATE jobs SET created_at = '2026-01-01T00:00:00+00:00'")
        change(ledger_file, "UPDATE calls SET expires_at = '2026-01-03T00:00:00+00:00'")
        with pytest.raises(JobNotFoundError, match="pass its new path as source") as lost:
            await extend(app, omni.job_id, **TARGETS["Gemini Omni"])
    assert lost.value.code == "artifact_missing"
    assert paid(emulator) == 3


async def test_a_moved_clip_of_veo_is_extended_in_its_bucket(settings: Settings, emulator):
    async with open_app(settings) as app:
        veo = await made(app, backend="vertex", model=VEO, storage_uri="gs://media/takes/")
        veo.artifacts[0].file.unlink()
        report = await extend(app, veo.job_id, **TARGETS["Vertex Veo"])
        record = await source_record(app, report)
    assert report.status == "succeeded", report.error
    assert "path" not in record
    assert record["duration_seconds"] == pytest.approx(4, abs=0.1)
    assert paid(emulator) == 2


async def test_an_edit_of_a_clip_made_there_uses_its_interaction(settings: Settings, emulator):
    async with open_app(settings) as app:
        clip = await made(app, backend="gemini", model=OMNI_11)
        asked = {"prompt": "at night", "video": clip.job_id, "model": OMNI_11, "backend": "gemini"}
        report = await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))
        record = await source_record(app, report, "video")
    assert report.status == "succeeded", report.error
    assert record["path"] == clip.artifacts[0].path
    bodies = [r["body"] for r in emulator.requests() if r["path"].endswith("/interactions")]
    assert "previous_interaction_id" in bodies[1]
    assert not any("/upload/" in r["path"] for r in emulator.requests())


# ---------------------------------------------------------------- before it is sent


@pytest.mark.parametrize("target", TARGETS)
async def test_a_dry_run_fetches_and_converts_nothing_and_says_what_would_be_done(
    settings: Settings, emulator, work: Path, inputs: Path, target: str
):
    shutil.copy(BUNNY, work / "bunny.mp4")
    uri = f"{emulator.url}/v1beta/files/abc"
    async with open_app(settings) as app:
        local = await extend(app, "bunny.mp4", dry_run=True, **TARGETS[target])
        remote = [
            await extend(app, source, dry_run=True, **TARGETS[target])
            for source in ("gs://media/x.mp4", "https://example.com/x.mp4?sig=s3cr3t", uri)
        ]
    assert is_mended(local)
    for report in remote:
        assert any("checked when the job is sent" in warning for warning in report.warnings)
        assert "s3cr3t" not in str(report)
    assert emulator.requests() == []
    assert not inputs.exists()


async def test_a_video_that_is_too_long_is_never_cut(settings: Settings, emulator, work: Path, inputs: Path):
    make_clip(work / "long.mp4", width=640, height=360, seconds=40, fps=25)
    async with open_app(settings) as app:
        with pytest.raises(InvalidRequestError, match="trim_video") as refused:
            await extend(app, "long.mp4", **TARGETS["Gemini Omni"])
    assert (refused.value.field, refused.value.code) == ("source", "video_length")
    assert emulator.requests() == []


async def test_what_is_wrong_anyway_is_refused_before_the_video_is_fetched(settings: Settings, emulator, inputs: Path):
    async with open_app(settings) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await extend(app, "gs://media/x.mp4", **{**TARGETS["Vertex Veo"], "duration_seconds": 5})
    assert refused.value.field == "duration_seconds"
    assert emulator.requests() == []
    assert not inputs.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"remix_from": "{}", "remix_start": "soon"}, "remix_start"),
        ({"remix_from": "{}", "remix_start": "0:05", "remix_end": "0:04"}, "remix_end"),
        ({"remix_from": "{}", "duration_seconds": 59}, "duration_seconds"),
        ({"remix_from": "{}", "reference_images": ["gone.png"]}, "reference_images"),
        ({"video": "{}", "resolution": "9k"}, "resolution"),
        ({"video": "{}", "upload_to": "s3://elsewhere"}, "upload_to"),
    ],
)
async def test_what_is_wrong_with_a_remix_or_an_edit_is_refused_before_its_video_is_fetched(
    settings: Settings, emulator, web: str, inputs: Path, values: dict[str, Any], field: str
):
    address = f"{web}/bigbuckbunny.mp4"
    asked = {name: address if value == "{}" else value for name, value in values.items()}
    async with open_app(settings, web=LOCAL) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await made(app, **{**TARGETS["Gemini Omni"], **asked})
    assert refused.value.field == field
    assert not inputs.exists()
    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("HTTPS://example.com/cat.png?X-Goog-Signature=s3cr3t", "HTTPS://example.com/cat.png?…"),
        ("https://example.com/cat.png?sig=s3cr3t", "https://example.com/cat.png?…"),
    ],
)
async def test_signature_of_an_address_is_kept_nowhere(
    settings: Settings, emulator, work: Path, source: str, left: str
):
    async with open_app(settings) as app:
        report = await made(app, image=source, **{**TARGETS["Gemini Omni"], "dry_run": True})
        assert report.requested["image"] == left
        kept = {name: value for name, value in report.model_dump(mode="json").items() if "body" not in name}
    assert "s3cr3t" not in str({name: kept[name] for name in ("requested", "effective", "warnings")})


async def test_inline_picture_is_shortened_however_its_scheme_is_written(settings: Settings, emulator, work: Path):
    picture = b64encode((DATA / "chelsea.png").read_bytes()).decode()
    async with open_app(settings) as app:
        report = await made(app, image=f"DATA:image/png;base64,{picture}", backend="gemini", dry_run=True)
    assert len(str(report.requested["image"])) < 100


@pytest.mark.parametrize("field", ["image", "video", "remix_from"])
async def test_password_in_an_address_is_refused_and_not_repeated(settings: Settings, emulator, field: str):
    address = "https://user:pa55@w0rd@example.com/cat.png"
    async with open_app(settings) as app:
        with pytest.raises(InvalidRequestError, match="user name or a password") as refused:
            await made(app, **TARGETS["Gemini Omni"], **dict[str, Any]({field: address}), dry_run=True)
    assert refused.value.field == field
    assert "pa55" not in str(refused.value)
    assert "w0rd" not in str(refused.value)


@pytest.mark.parametrize("field", ["source", "video", "remix_from"])
async def test_a_file_of_terabytes_is_refused_before_it_is_read(settings: Settings, emulator, work: Path, field: str):
    with (work / "sparse.mp4").open("wb") as file:
        file.write(BUNNY.read_bytes())
        file.truncate(2**43)
    ask = (
        partial(extend, source="sparse.mp4")
        if field == "source"
        else partial(made, **dict[str, Any]({field: "sparse.mp4"}))
    )
    async with open_app(settings) as app:
        with anyio.fail_after(10), pytest.raises(InvalidRequestError, match="larger than 2 GB") as refused:
            await ask(app, **TARGETS["Gemini Omni"])
    assert (refused.value.field, refused.value.code) == (field, "input_too_large")
    assert emulator.requests() == []


async def test_a_large_file_without_a_bucket_names_its_own_argument(emulator, work: Path, make_settings: MakeSettings):
    clip = make_clip(work / "good.mp4", width=1280, height=720, seconds=4)
    with clip.open("ab") as file:  # a box that players skip
        file.write((21 * 1024**2).to_bytes(4, "big") + b"free" + bytes(21 * 1024**2 - 8))
    asked = {"prompt": "at night", "video": "good.mp4", "model": OMNI_11}
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        with pytest.raises(InvalidRequestError, match="video has 21 MB") as refused:
            await app.generator.generate_video(GenerateVideoRequest.model_validate(asked))
    assert refused.value.field == "video"


# ---------------------------------------------------------------- beside the video


@pytest.mark.parametrize(
    ("given", "place"),
    [({"last_frame": "cat.png"}, "lastFrame"), ({"reference_images": ["cat.png"]}, "referenceImages")],
)
async def test_veo_is_given_a_picture_beside_the_video_with_a_warning(settings, emulator, work: Path, given, place):
    make_clip(work / "clip.mp4", width=1280, height=720, seconds=4)
    async with open_app(settings) as app:
        report = await extend(app, "clip.mp4", dry_run=True, **given, **TARGETS["Vertex Veo"])
        with pytest.raises(InvalidRequestError, match="remix_start='last'") as refused:
            await extend(app, "clip.mp4", **given, **TARGETS["Gemini Omni"])
    assert report.request is not None
    instance = report.request["instances"][0]
    assert {place, "video"} <= set(instance)
    assert any("was reported to accept it" in w and "was not reported" in w for w in report.warnings)
    assert refused.value.field in given
    assert emulator.requests() == []


async def test_both_pictures_beside_the_video_are_refused(settings: Settings, work: Path):
    async with open_app(settings) as app:
        with pytest.raises(InvalidRequestError, match="cannot be used together"):
            await extend(app, "cat.png", last_frame="cat.png", reference_images=["cat.png"], **TARGETS["Vertex Veo"])


# ---------------------------------------------------------------- the folder of inputs


async def test_old_inputs_are_swept_and_a_conversion_is_made_once(
    settings: Settings, work: Path, inputs: Path, clip_of_25_fps: Path
):
    shutil.copy(clip_of_25_fps, work / "bunny.mp4")
    inputs.mkdir(parents=True)
    old, young = inputs / "fitted-old.mp4", inputs / "fitted-young.mp4"
    for path, days in ((old, 8), (young, 6)):
        path.write_bytes(b"x")
        os.utime(path, (time.time() - days * 86400,) * 2)
    async with open_app(settings) as app, anyio.create_task_group() as group:
        for prompt in ("one", "two"):
            group.start_soon(partial(extend, app, "bunny.mp4", prompt=prompt, **TARGETS["Gemini Omni"]))
    assert not old.exists()
    assert young.exists()
    assert len(list(inputs.glob("fitted-*"))) == 2
    assert not list(inputs.glob(".*"))
