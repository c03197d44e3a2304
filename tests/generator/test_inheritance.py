"""What an extension takes over from its source: from the ledger, from our sidecar, from records of an earlier tool."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import paid
from tests.generator.planning import (
    FAST_VEO,
    LITE_VEO,
    OMNI_11,
    OMNI_12,
    VEO,
    MakeSettings,
    both,
    change_of,
    extend,
    make_clip,
    plan_clip,
    plan_extension,
    vertex,
    write_config,
    write_record,
)
from tests.runner.asking import wait_for

from mediagen.app.app import open_app
from mediagen.errors import AuthenticationError, ConfigurationError, JobNotFoundError

STAMP = "20260124_101530"
TWO = "[profiles.film]\nproject = 'film-123'\n[profiles.other]\nproject = 'other-9'\n"


def earlier_record(**changes: Any) -> dict[str, Any]:
    """A record as the earlier tool wrote it, schema v2.25."""
    arguments = {
        "prompt": "a lighthouse in the fog",
        "model": FAST_VEO,
        "duration": 8,
        "aspect_ratio": "16:9",
        "resolution": "1080p",
        "auth_method": "service_account",
        "mode": "text_to_video",
        "project_id": "film-123",
        "storage_uri": "gs://film-media/veo/",
        "location": "us-central1",
        **changes,
    }
    return {
        "version": "2.25",
        "type": "video",
        "status": "SUCCESS",
        "timestamp": "2026-01-24T10:15:30Z",
        "command_args": arguments,
        "generation": {
            "mode": "text_to_video",
            "model": arguments["model"],
            "duration_seconds": 8,
            "aspect_ratio": "16:9",
            "resolution": arguments["resolution"],
            "has_audio": True,
            "frame_rate": 24,
        },
        "input_files": {
            "image": None,
            "last_frame": None,
            "reference_assets": [],
            "reference_style": None,
            "video": None,
            "extend_video": None,
            "mask": None,
        },
        "output": {
            "filename": f"video_{STAMP}_0.mp4",
            "path": f"/home/someone/out/video_{STAMP}_0.mp4",
            "file_size_bytes": 1,
            "mime_type": "video/mp4",
        },
        "api_response": {
            "operation_name": "projects/film-123/locations/us-central1/publishers/google/models/x/operations/1",
            "video_uri": "gs://film-media/veo/sample_0.mp4",
            "video_uri_expires": "2026-01-26T10:15:30Z",
            "processing_time_seconds": 71.2,
        },
        "cost_estimate": {
            "duration_seconds": 8,
            "price_per_second": 0.15,
            "estimated_cost_usd": 1.2,
            "model_tier": "fast",
            "currency": "USD",
            "pricing_date": "2026-01-01",
        },
        "prompt": "a lighthouse in the fog",
        "download_status": "completed",
        "google_api_response": None,
    }


@pytest.fixture(autouse=True)
def buckets_are_emulated(emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of Cloud Storage looks at the environment itself."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As large as Veo wants its source to be."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", width=1280, height=720)


@pytest.fixture
def clip(work: Path, film: Path) -> Path:
    """A clip named as the earlier tool named them."""
    return Path(shutil.copy(film, work / f"video_{STAMP}_0.mp4"))


@pytest.fixture
def metadata(work: Path) -> Path:
    """Where the earlier tool's record of that clip is."""
    return work / f"metadata_{STAMP}.json"


async def make_veo(app: Any, **values: Any) -> Any:
    asked = {"model": FAST_VEO, "duration_seconds": 4, "resolution": "720p", "aspect_ratio": "9:16", **values}
    report = await plan_clip(app, dry_run=False, **asked)
    assert report.status == "succeeded", (report.error, report.warnings)
    return report


# ------------------------------------------------------------------ from the ledger and from our sidecar


@pytest.mark.parametrize(
    ("way", "ledger_is_gone"),
    [("job", False), ("artifact", False), ("file", False), ("file", True), ("named file", True)],
)
async def test_extension_of_a_veo_clip_keeps_model_size_location_and_bucket(
    way: str, ledger_is_gone: bool, make_settings: MakeSettings, emulator, work: Path, tmp_path: Path
):
    emulator.make_bucket("film-media")
    variables = vertex(emulator.url, GOOGLE_CLOUD_PROJECT="film-123")
    async with open_app(make_settings(**variables)) as app:
        name = {"output_name": "sunset 🎬"} if way == "named file" else {}
        made = await make_veo(app, storage_uri="gs://film-media/takes/", **name)
    artifact = made.artifacts[0]
    source = {"job": made.job_id, "artifact": artifact.uri}.get(way, artifact.path)
    state = {"MEDIAGEN_STATE_DIR": str(tmp_path / "other")} if ledger_is_gone else {}
    async with open_app(make_settings(**variables, **state)) as app:
        report = await extend(app, source)
    assert report.status == "succeeded", (report.error, report.warnings)
    wanted = {
        "model": FAST_VEO,
        "resolution": "720p",
        "aspect_ratio": "9:16",
        "location": "us-central1",
        "storage_uri": f"gs://film-media/takes/{report.job_id}/",
        "project": "film-123",
        "backend": "vertex",
    }
    assert {name: report.effective[name] for name in wanted} == wanted
    assert {report.origins[name] for name in wanted} == {"source"}
    assert report.effective["duration_seconds"] == 7
    assert report.effective["why_backend"] == "where the source was made"
    expected = ("Sources disagree", "beside the source names")
    assert all(any(words in warning for words in expected) for warning in report.warnings), report.warnings
    assert report.requested == {"prompt": "more waves", "source": source}
    assert paid(emulator) == 2


async def test_every_clip_keeps_its_address_at_google_in_its_sidecar(make_settings: MakeSettings, emulator, work: Path):
    emulator.make_bucket("film-media")
    async with open_app(make_settings(**both(emulator.url))) as app:
        veo = await make_veo(app, backend="vertex", storage_uri="gs://film-media/takes/")
        omni = await plan_clip(app, dry_run=False, backend="gemini", duration_seconds=3)
    of_veo, of_omni = (
        json.loads(report.artifacts[0].file.with_suffix(".json").read_text("utf-8"))["api_response"]
        for report in (veo, omni)
    )
    assert of_veo["video_uri"].startswith("gs://film-media/takes/")
    assert of_veo["video_uri_expires"] is None
    assert "/files/" in of_omni["video_uri"]
    assert of_omni["video_uri_expires"]
    assert "key=" not in of_omni["video_uri"]


async def test_explicit_values_win_over_the_source_even_when_they_equal_the_default(
    make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    metadata.write_text(json.dumps(earlier_record()))
    explicit = {"model": VEO, "resolution": "720p", "aspect_ratio": "16:9", "storage_uri": "gs://mine-media/"}
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip, **explicit)
    sent = {**explicit, "storage_uri": "gs://mine-media/(job id)/"}
    assert {name: report.effective[name] for name in explicit} == sent
    assert {report.origins[name] for name in explicit} == {"explicit"}
    assert report.origins["location"] == "source"


async def test_unknown_job_and_artifact_are_refused(make_settings: MakeSettings, emulator, work: Path):
    async with open_app(make_settings()) as app:
        for source in ("job_0unknown", "mediagen://artifacts/nope"):
            with pytest.raises(JobNotFoundError):
                await plan_extension(app, source)


# ------------------------------------------------------------------ records of the earlier tool


async def test_record_of_the_earlier_tool_is_found_by_the_time_in_the_name(
    make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    metadata.write_text(json.dumps(earlier_record()))
    async with open_app(make_settings(**both(emulator.url, GOOGLE_CLOUD_PROJECT=""))) as app:
        report = await plan_extension(app, clip)
    wanted = {
        "model": FAST_VEO,
        "resolution": "1080p",
        "location": "us-central1",
        "storage_uri": "gs://film-media/veo/(job id)/",
        "project": "film-123",
        "backend": "vertex",
    }
    assert {name: report.effective[name] for name in wanted} == wanted
    assert {report.origins[name] for name in wanted} == {"source"}
    text = report.model_dump_json()
    for never in ("lighthouse", "/home/someone", "service_account", "operations/1"):
        assert never not in text


@pytest.mark.parametrize(
    ("model", "backend", "successor"),
    [
        ("veo-3.0-generate-001", "vertex", VEO),
        ("veo-3.0-fast-generate-001", "vertex", FAST_VEO),
        ("veo-2.0-generate-001", "vertex", VEO),
        ("veo-3.0-generate-001", "gemini", OMNI_12),
        (LITE_VEO, "vertex", VEO),
        (VEO, "gemini", OMNI_12),
    ],
)
async def test_model_of_the_source_that_cannot_be_used_any_more_is_replaced_with_a_warning(
    model: str, backend: str, successor: str, make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    metadata.write_text(json.dumps(earlier_record(model=model)))
    async with open_app(make_settings(**both(emulator.url))) as app:
        report = await plan_extension(app, clip, backend=backend)
    assert (report.model, report.origins["model"]) == (successor, "default")
    assert change_of(report, "model") == (model, successor)
    assert any(f"The source's model {model} cannot be used here; {successor}" in text for text in report.warnings)


async def test_record_of_a_failure_is_taken_for_what_was_asked(
    make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    record = earlier_record() | {
        "status": "ERROR",
        "error": {"type": "NO_VIDEO_IN_RESPONSE", "message": "none", "details": {"result_keys": []}},
        "output": {"filename": None, "path": None, "file_size_bytes": None, "mime_type": None},
    }
    metadata.write_text(json.dumps(record))
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip)
    assert report.origins["model"] == "source"


async def test_record_with_a_byte_order_mark_is_read(make_settings: MakeSettings, emulator, clip: Path, metadata: Path):
    metadata.write_text(json.dumps(earlier_record()), encoding="utf-8-sig")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        assert (await plan_extension(app, clip)).origins["model"] == "source"


def put_bytes(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


DAMAGED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda _: None, "no record of how it was made"),
    "empty": (put_bytes(b""), "it is not JSON"),
    "no json": (put_bytes(b"{"), "it is not JSON"),
    "binary": (put_bytes(b"\x00\xff\xfe"), "it is not JSON"),
    "deep": (put_bytes(b"[" * 100_000), "it is not JSON"),
    "list": (put_bytes(b"[1, 2]"), "it is no record"),
    "number": (put_bytes(b"7"), "it is no record"),
    "other program's": (put_bytes(b'{"version": 3, "name": "x"}'), "it is no record of a clip"),
    "arguments are a list": (put_bytes(b'{"command_args": []}'), "it is no record of a clip"),
    "huge": (put_bytes(b" " * 1_000_001), "it is larger than 1 MB"),
    "folder": (Path.mkdir, "it is not a file"),
    "pipe": (os.mkfifo, "it is not a file"),
    "endless link": (lambda path: path.symlink_to(path), "symbolic links"),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("place", ["beside", "earlier tool"])
async def test_damaged_record_is_warned_of_and_the_defaults_hold(
    damage: str, place: str, make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    put, words = DAMAGED[damage]
    put(metadata if place == "earlier tool" else clip.with_suffix(".json"))
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip)
    assert any(words in warning for warning in report.warnings), report.warnings
    assert (report.model, report.origins["model"]) == (VEO, "default")
    assert report.origins["aspect_ratio"] == "source"


@pytest.mark.parametrize("place", ["beside", "earlier tool"])
async def test_record_that_is_a_link_out_of_the_folders_is_not_followed(
    place: str, make_settings: MakeSettings, emulator, work: Path, clip: Path, metadata: Path, tmp_path: Path
):
    secret = tmp_path / "elsewhere" / "secret.json"
    secret.parent.mkdir()
    secret.write_text(json.dumps(earlier_record(storage_uri="gs://secret-bucket/")))
    (metadata if place == "earlier tool" else clip.with_suffix(".json")).symlink_to(secret)
    async with open_app(make_settings(**vertex(emulator.url, MEDIAGEN_INPUT_ROOTS=str(work)))) as app:
        report = await plan_extension(app, clip)
    assert "secret-bucket" not in report.model_dump_json()
    assert report.origins["model"] == "default"
    assert any("symbolic links are not followed" in warning for warning in report.warnings)


@pytest.mark.parametrize("mark", ["\x9b31m", "\u202e", "\u2028", "\ud800"])
async def test_profile_of_a_record_that_would_command_a_terminal_is_left_out(
    mark: str, make_settings: MakeSettings, emulator, clip: Path
):
    write_record(clip, profile=f"film{mark}")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip)
    assert any("no usable profile" in warning for warning in report.warnings), report.warnings


async def test_other_host_with_the_name_of_our_file_says_nothing(make_settings: MakeSettings, emulator, work: Path):
    async with open_app(make_settings(**both(emulator.url))) as app:
        made = await plan_clip(app, dry_run=False, backend="gemini", duration_seconds=3, aspect_ratio="9:16")
        job = await app.generator.ledger.get(made.job_id or "")
        own = str(job.calls[0].remote_uris[0]).partition("?")[0]
        name = own.partition("/files/")[2].removesuffix(":download")
        ours = await plan_extension(app, own)
        theirs = await plan_extension(app, f"https://evil.example/files/{name}")
    assert ours.origins["model"] == "source"
    assert theirs.origins["model"] == "default"


async def test_record_that_may_not_be_read_is_warned_of(
    make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    metadata.write_text(json.dumps(earlier_record()))
    metadata.chmod(0)
    if os.access(metadata, os.R_OK):
        pytest.skip("this user may read everything")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip)
    assert any("Permission denied" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 7),
        ("model", "../../secrets"),
        ("model", "veo 3"),
        ("resolution", ["720p"]),
        ("resolution", "x" * 50_000),
        ("aspect_ratio", {"w": 16}),
        ("storage_uri", "https://example.com/x"),
        ("storage_uri", "gs://"),
        ("storage_uri", True),
        ("location", "evil.example/x"),
        ("location", "evil.example#"),
        ("project_id", "p/../q"),
        ("project_id", 12),
    ],
)
async def test_damaged_value_of_a_record_is_left_out_and_the_others_hold(
    name: str, value: Any, make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    """Model, project and location become parts of an address to which credentials are sent."""
    metadata.write_text(json.dumps(earlier_record(**{name: value})))
    async with open_app(make_settings(**vertex(emulator.url, GOOGLE_VERTEX_BASE_URL=""))) as app:
        report = await plan_extension(app, clip)
    assert any(f"has no usable {name}" in warning for warning in report.warnings), report.warnings
    field = "project" if name == "project_id" else name
    assert report.effective.get(field) != value
    kept = {"model": FAST_VEO, "resolution": "1080p", "location": "us-central1", "project": "film-123"}
    kept.pop(field, None)
    assert {name: report.effective[name] for name in kept} == kept
    assert "evil.example" not in report.model_dump_json()


async def test_good_record_of_the_earlier_tool_is_used_beside_a_foreign_file(
    make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    clip.with_suffix(".json").write_text('{"streams": []}')
    metadata.write_text(json.dumps(earlier_record()))
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip)
    assert report.model == FAST_VEO
    assert not any("taken over" in warning for warning in report.warnings)


@pytest.mark.parametrize("source", ["gs://film-media/video_20260124_101530_0.mp4", "https://example.com/x.mp4"])
async def test_address_says_nothing_about_how_it_was_made(
    source: str, make_settings: MakeSettings, emulator, metadata: Path
):
    metadata.write_text(json.dumps(earlier_record()))
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, source)
    assert (report.model, report.origins["model"]) == (VEO, "default")
    assert not any("taken over" in warning for warning in report.warnings)
    assert emulator.requests() == []


# ------------------------------------------------------------------ projects and profiles


async def test_project_of_the_source_chooses_among_several_profiles(
    make_settings: MakeSettings, emulator, work: Path, clip: Path, metadata: Path
):
    write_config(work, TWO)
    metadata.write_text(json.dumps(earlier_record(project_id="other-9")))
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip)
        explicit = await plan_extension(app, clip, profile="film")
    assert (report.effective["profile"], report.origins["profile"]) == ("other", "source")
    assert (report.effective["project"], report.origins["project"]) == ("other-9", "profile")
    assert (explicit.effective["profile"], explicit.origins["profile"]) == ("film", "explicit")
    assert explicit.effective["project"] == "film-123"


@pytest.mark.parametrize("way", ["job", "file"])
@pytest.mark.parametrize("chosen_by", ["variable", "file"])
async def test_profile_of_the_source_wins_over_the_usual_one(
    way: str, chosen_by: str, make_settings: MakeSettings, emulator, work: Path
):
    write_config(work, TWO if chosen_by == "variable" else f"profile = 'other'\n{TWO}")
    variables = vertex(emulator.url, **({"MEDIAGEN_PROFILE": "other"} if chosen_by == "variable" else {}))
    async with open_app(make_settings(**variables)) as app:
        made = await make_veo(app, profile="film")
        report = await plan_extension(app, made.job_id if way == "job" else made.artifacts[0].path)
        usual = await plan_clip(app)
    assert (report.effective["profile"], report.origins["profile"]) == ("film", "source")
    assert report.effective["project"] == "film-123"
    assert usual.effective["profile"] == "other"


async def test_profile_of_the_source_that_is_gone_gives_way(make_settings: MakeSettings, emulator, work: Path):
    write_config(work, TWO)
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        made = await make_veo(app, profile="film")
    write_config(work, "[profiles.renamed]\nproject = 'film-123'\n[profiles.other]\nproject = 'other-9'\n")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, made.job_id)
    assert (report.effective["profile"], report.origins["profile"]) == ("renamed", "source")


async def test_only_profile_holds_whatever_the_source_says(
    make_settings: MakeSettings, emulator, work: Path, clip: Path, metadata: Path
):
    write_config(work, "[profiles.film]\nproject = 'film-123'\n")
    metadata.write_text(json.dumps(earlier_record(project_id="elsewhere-1")))
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, clip)
    assert (report.effective["profile"], report.effective["project"]) == ("film", "film-123")
    assert (report.origins["profile"], report.origins["project"]) == ("profile", "profile")


@pytest.mark.parametrize("variable", ["", "env-project"])
@pytest.mark.parametrize("configuration", ["", TWO])
async def test_project_of_the_source_that_no_profile_has_is_used_with_the_credentials_of_the_environment(
    variable: str, configuration: str, make_settings: MakeSettings, emulator, work: Path, clip: Path, metadata: Path
):
    write_config(work, configuration)
    metadata.write_text(json.dumps(earlier_record(project_id="elsewhere-1", storage_uri=None)))
    async with open_app(make_settings(**vertex(emulator.url, GOOGLE_CLOUD_PROJECT=variable))) as app:
        report = await extend(app, clip, model=VEO)
    assert report.status == "succeeded", (report.error, report.warnings)
    assert (report.effective["project"], report.origins["project"]) == ("elsewhere-1", "source")
    assert "profile" not in report.effective
    sent = [request["path"] for request in emulator.requests() if "predictLongRunning" in request["path"]]
    assert len(sent) == 1
    assert "/projects/elsewhere-1/locations/us-central1/" in sent[0]


async def test_job_in_a_project_of_its_source_is_followed_after_a_restart(
    make_settings: MakeSettings, emulator, work: Path, clip: Path, metadata: Path
):
    """An express key that lies there as well is not taken for a project of its own."""
    metadata.write_text(json.dumps(earlier_record(project_id="elsewhere-1", storage_uri=None)))
    variables = vertex(emulator.url, GOOGLE_CLOUD_PROJECT="", VERTEX_AI_API_KEY="express-1")
    async with open_app(make_settings(**variables)) as app:
        job = await extend(app, clip, wait_seconds=0)
    async with open_app(make_settings(**variables)) as app:
        await app.runner.resume()
        report = await wait_for(app, job.job_id)
    assert report.status == "succeeded", (report.error, report.warnings)
    assert paid(emulator) == 1


async def test_nothing_of_the_environment_serves_an_unknown_project_and_the_profiles_are_listed(
    make_settings: MakeSettings, emulator, work: Path, clip: Path, metadata: Path
):
    write_config(work, TWO)
    metadata.write_text(json.dumps(earlier_record(project_id="elsewhere-1")))
    async with open_app(make_settings(MEDIAGEN_BACKEND="")) as app:
        with pytest.raises(ConfigurationError, match="'film', 'other'"):
            await plan_extension(app, clip)


async def test_two_profiles_of_the_project_of_the_source_are_no_choice(
    make_settings: MakeSettings, emulator, work: Path, clip: Path, metadata: Path
):
    write_config(work, "[profiles.a]\nproject = 'film-123'\n[profiles.b]\nproject = 'film-123'\n")
    metadata.write_text(json.dumps(earlier_record()))
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        with pytest.raises(ConfigurationError) as refused:
            await plan_extension(app, clip)
    assert refused.value.code == "profile_needed"


# ------------------------------------------------------------------ across surfaces


async def test_clip_of_vertex_is_extended_by_the_gemini_api(make_settings: MakeSettings, emulator, work: Path):
    emulator.make_bucket("film-media")
    async with open_app(make_settings(**both(emulator.url))) as app:
        made = await make_veo(app, backend="vertex", storage_uri="gs://film-media/takes/", aspect_ratio="16:9")
        report = await extend(app, made.job_id, backend="gemini", duration_seconds=3)
    assert report.status == "succeeded", (report.error, report.warnings)
    assert (report.backend, report.model) == ("gemini", OMNI_12)
    assert report.origins["model"] == "default"
    assert "storage_uri" not in report.effective
    assert any("gs://film-media/takes/" in warning for warning in report.warnings)
    assert (report.effective["resolution"], report.origins["resolution"]) == ("720p", "source")


async def test_clip_of_the_gemini_api_is_extended_by_the_model_that_is_asked_for(
    make_settings: MakeSettings, emulator, work: Path
):
    """Its surface is taken over only as long as it has that model."""
    async with open_app(make_settings(**both(emulator.url))) as app:
        made = await plan_clip(app, dry_run=False, duration_seconds=3)
        same = await plan_extension(app, made.job_id)
        report = await extend(app, made.job_id, model=VEO)
    assert (made.backend, same.backend, same.origins["backend"]) == ("gemini", "gemini", "source")
    assert report.status == "succeeded", (report.error, report.warnings)
    assert (report.backend, report.origins["backend"]) == ("vertex", "default")


async def test_surface_of_the_source_that_is_not_configured_gives_way(
    make_settings: MakeSettings, emulator, clip: Path, metadata: Path
):
    write_record(clip, backend="vertex", model=OMNI_11, location="global", project="film-123")
    settings = make_settings(MEDIAGEN_BACKEND="", GEMINI_API_KEY="AIza-films")
    async with open_app(settings) as app:
        report = await plan_extension(app, clip)
        with pytest.raises(AuthenticationError):
            await plan_extension(app, clip, backend="vertex")
    assert (report.backend, report.model) == ("gemini", OMNI_11)
    assert "location" not in report.effective


@pytest.mark.parametrize("name", ["vertex", "gemini"])
async def test_surface_that_the_operator_chose_is_never_left_for_that_of_the_source(
    name: str, make_settings: MakeSettings, emulator, clip: Path
):
    """A clip that was paid for must not make a free trial cost money."""
    write_record(clip, backend=name, model=OMNI_11)
    async with open_app(make_settings(**both(emulator.url, MEDIAGEN_BACKEND="emulator"))) as app:
        report = await plan_extension(app, clip)
    assert (report.backend, report.origins["backend"]) == ("emulator", "environment")


async def test_clip_of_the_emulator_takes_no_project_and_no_bucket_along(
    make_settings: MakeSettings, emulator, clip: Path
):
    """In the real world they are somebody else's."""
    write_record(
        clip,
        backend="emulator",
        model=FAST_VEO,
        project="emulator",
        storage_uri="gs://made-up/",
        location="us-central1",
    )
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        real = await plan_extension(app, clip)
    async with open_app(make_settings()) as app:
        emulated = await plan_extension(app, clip)
    assert (real.effective["project"], real.origins["project"]) == ("env-project", "environment")
    assert "storage_uri" not in real.effective
    assert real.model == FAST_VEO
    assert emulated.effective["storage_uri"] == "gs://made-up/(job id)/"


async def test_job_of_the_emulator_takes_no_project_along(make_settings: MakeSettings, emulator, work: Path):
    async with open_app(make_settings()) as app:
        made = await make_veo(app)
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        report = await plan_extension(app, made.job_id)
    assert made.effective["project"] == "emulator"
    assert report.effective["project"] == "env-project"


async def test_local_clip_goes_through_the_bucket_of_the_profile(
    make_settings: MakeSettings, emulator, work: Path, clip: Path
):
    emulator.make_bucket("film-media")
    write_config(work, "[profiles.film]\nproject = 'film-123'\nbucket = 'film-media'\npath = 'clips'\n")
    async with open_app(make_settings(**vertex(emulator.url))) as app:
        planned = await plan_extension(app, clip)
        report = await extend(app, clip)
    assert planned.request is not None
    address = planned.request["instances"][0]["video"]["gcsUri"]
    assert address.startswith("gs://film-media/clips/mediagen-inputs/")
    assert report.status == "succeeded", (report.error, report.warnings)
    assert address.removeprefix("gs://film-media/") in [item["name"] for item in emulator.objects("film-media")]
