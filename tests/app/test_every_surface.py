"""Every surface, with every kind of credential, for every kind of job: made, or refused in words before it costs.

Two tables. `CREDENTIALS` says how each credential opens each surface; `JOBS` says what each way in makes of each job.
Together they are the cells: every one is planned, every refusal is provoked for real, and what `made` names is made.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image
from tests.app.conftest import PROJECT, surfaces_at
from tests.conftest import DATA
from tests.stored import sha256_as_made

from mediagen.app.app import App, open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import MediaGenError
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.report.job import JobReport
from mediagen.requests import ExtendVideoRequest, GenerateImageRequest, GenerateVideoRequest
from mediagen.settings import read_settings

SURFACES = ("gemini", "vertex", "cliproxy", "emulator")
SECRET = "s3cr3t-part-of-every-key"
BUCKET = "media"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way into a surface: how its requests are signed, and where they go."""

    name: str
    header: str
    paths: tuple[str, ...]


GEMINI = Way(name="gemini", header="x-goog-api-key", paths=("/v1beta/", "/upload/v1beta/"))
VERTEX = Way(name="vertex", header="authorization", paths=(f"/v1beta1/projects/{PROJECT}/locations/",))
EXPRESS = Way(name="express", header="x-goog-api-key", paths=("/v1beta1/publishers/", "/v1beta1/interactions"))
PROXY = Way(name="proxy", header="authorization", paths=("/cliproxy/",))
# The emulator speaks the protocol of the surface that has the model.
EMULATOR = Way(name="emulator", header="", paths=("/v1beta/", "/upload/v1beta/", "/v1beta1/projects/emulator/"))

NO_KEY = "No Gemini API key is set"
NO_LOGIN = "No credentials for Vertex AI are set"
NO_PROJECT = r"Vertex AI has credentials \({}\) but no project .*GOOGLE_CLOUD_PROJECT"

# ---------------------------------------------------------------- credential kinds


@dataclass(frozen=True, kw_only=True)
class Held:
    """A credential that somebody has.

    Attributes:
        variables: Environment; ``{account}`` and ``{user}`` are the paths of credentials files.
        gemini: Way into the Gemini API, or the words of the refusal; `vertex` alike.
        is_login: Whether Cloud Storage takes it too.
        profile: Contents of mediagen.toml.
        gcloud: Whether gcloud's own file is there.
        made: Jobs by surface that are really made, rather than planned; "*" is all of them.
    """

    variables: dict[str, str]
    gemini: Way | str = NO_KEY
    vertex: Way | str = NO_LOGIN
    is_login: bool = False
    profile: str = ""
    gcloud: bool = False
    made: dict[str, tuple[str, ...]]

    def way(self, surface: str) -> Way | str:
        return {"gemini": self.gemini, "vertex": self.vertex, "cliproxy": PROXY, "emulator": EMULATOR}[surface]


ALL = ("*",)
SHORT_VERTEX: dict[str, tuple[str, ...]] = {"vertex": ("picture", "picture, gs:// input", "veo, text")}
IN_PROJECT = {"GOOGLE_CLOUD_PROJECT": PROJECT}

CREDENTIALS: dict[str, Held] = {
    "Gemini key AIza…": Held(
        variables={"GEMINI_API_KEY": f"AIza{SECRET}"},
        gemini=GEMINI,
        made={"gemini": ALL},
    ),
    "Gemini key AQ.…": Held(
        variables={"GEMINI_API_KEY": f"AQ.{SECRET}"},
        gemini=GEMINI,
        made={"gemini": ("picture", "omni, text")},
    ),
    "Gemini key of another make": Held(
        variables={"GOOGLE_API_KEY": f"zz-{SECRET}"},
        gemini=GEMINI,
        made={"gemini": ("picture", "omni, text")},
    ),
    "Gemini key, and a service account": Held(
        variables={"GEMINI_API_KEY": f"AIza{SECRET}", "GOOGLE_APPLICATION_CREDENTIALS": "{account}"},
        gemini=GEMINI,
        vertex=VERTEX,
        is_login=True,
        made={"gemini": ("picture", "picture, gs:// input", "omni, gs:// image"), "vertex": ("picture",)},
    ),
    "Vertex express key": Held(
        variables={"VERTEX_AI_API_KEY": f"AQ.{SECRET}"},
        vertex=EXPRESS,
        made={
            "vertex": (
                "picture",
                "omni, text",
                "omni, extension of a job",
                "veo, text",
                "veo, extension of a file",
            )
        },
    ),
    "ready access token": Held(
        variables={"GOOGLE_ACCESS_TOKEN": f"ya29.ready-{SECRET}", **IN_PROJECT},
        vertex=VERTEX,
        is_login=True,
        made={"vertex": ("picture", "omni, text", "veo, text")},
    ),
    "ready access token, no project": Held(
        variables={"GOOGLE_ACCESS_TOKEN": f"ya29.ready-{SECRET}"},
        vertex=NO_PROJECT.format("GOOGLE_ACCESS_TOKEN"),
        is_login=True,
        made={},
    ),
    "service account": Held(
        variables={"GOOGLE_APPLICATION_CREDENTIALS": "{account}"},
        vertex=VERTEX,
        is_login=True,
        made={"vertex": ALL, "cliproxy": ("picture, gs:// input",)},
    ),
    "login in a file": Held(
        variables={"GOOGLE_APPLICATION_CREDENTIALS": "{user}", **IN_PROJECT},
        vertex=VERTEX,
        is_login=True,
        made=SHORT_VERTEX,
    ),
    "login in a file, no project": Held(
        variables={"GOOGLE_APPLICATION_CREDENTIALS": "{user}"},
        vertex=NO_PROJECT.format("GOOGLE_APPLICATION_CREDENTIALS"),
        is_login=True,
        made={},
    ),
    "login of gcloud": Held(
        variables=IN_PROJECT,
        vertex=VERTEX,
        is_login=True,
        gcloud=True,
        made=SHORT_VERTEX,
    ),
    "profile, credentials_file": Held(
        variables={},
        profile=f'credentials_file = "{{account}}"\nproject = "{PROJECT}"',
        vertex=VERTEX,
        is_login=True,
        made=SHORT_VERTEX,
    ),
    "profile, api_key_variable": Held(
        variables={"KEY_OF_THE_FILM": f"AIza{SECRET}"},
        profile='api_key_variable = "KEY_OF_THE_FILM"',
        gemini=GEMINI,
        made={"gemini": ("picture", "omni, text")},
    ),
    "profile, vertex_api_key_variable": Held(
        variables={"KEY_OF_THE_FILM": f"AQ.{SECRET}"},
        profile='vertex_api_key_variable = "KEY_OF_THE_FILM"',
        vertex=EXPRESS,
        made={"vertex": ("picture",)},
    ),
    "profile, access_token_variable": Held(
        variables={"TOKEN_OF_THE_FILM": f"ya29.ready-{SECRET}"},
        profile=f'access_token_variable = "TOKEN_OF_THE_FILM"\nproject = "{PROJECT}"',
        vertex=VERTEX,
        is_login=True,
        made={"vertex": ("picture",)},
    ),
    "proxy key": Held(variables={"CLIPROXY_API_KEY": f"proxy-{SECRET}"}, made={"cliproxy": ALL}),
    "none": Held(
        variables={},
        made={
            "cliproxy": ("picture",),
            "emulator": (
                "picture",
                "picture, gs:// input",
                "omni, text",
                "omni, extension of a job",
                "veo, text",
                "veo, gs:// image",
                "veo, storage_uri",
            ),
        },
    ),
}

# ---------------------------------------------------------------- kinds of job

OMNI: dict[str, Any] = {"model": "gemini-omni-1.2-flash", "resolution": "360p", "duration_seconds": 3}
VEO: dict[str, Any] = {"model": "veo-3.1-fast-generate-001", "resolution": "720p", "duration_seconds": 4}
LONG: dict[str, Any] = {"duration_seconds": 8}
MORE: dict[str, Any] = {"duration_seconds": 7}
REFERENCES: dict[str, Any] = {"reference_images": ["cat.png", "cat.png:asset"]}
FRAMES: dict[str, Any] = {"image": "cat.png", "last_frame": "cat.png"}
IN_BUCKET = f"gs://{BUCKET}"
CLOUD_CAT, CLOUD_OMNI, CLOUD_VEO = (f"{IN_BUCKET}/{name}" for name in ("cat.png", "omni.mp4", "veo.mp4"))

# What stands in the table below for a job that is refused before anything is sent: the words of the refusal.
REFUSALS = {
    "login": "Cloud Storage, which takes no API keys",
    "bucket": "only Vertex AI writes to Cloud Storage",
    "loud": "generate_audio=False .*always makes sound",
    "no-veo": "is not on the Gemini API.*backend='vertex'",
    "no-clip": "is not on CLIProxyAPI.*No model makes videos here",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A job.

    Attributes:
        outcomes: By way in: the number of paid requests, a word of `REFUSALS`, or ``read``: one paid request where
            there is a login that Cloud Storage takes, else refused as ``login``.
        files: How many files come of it.
    """

    tool: str
    arguments: dict[str, Any]
    outcomes: dict[str, str]
    files: int = 1


def _job(outcomes: str, files: int = 1, **arguments: Any) -> Wanted:
    tool = "generate_video" if "resolution" in arguments else "generate_image"
    return Wanted(
        tool="extend_video" if "source" in arguments else tool,
        arguments=arguments,
        outcomes=dict(zip(WAYS, outcomes.split(), strict=True)),
        files=files,
    )


def _omni(outcomes: str, files: int = 1, **arguments: Any) -> Wanted:
    return _job(outcomes, files, **{**OMNI, **arguments})


def _veo(outcomes: str, files: int = 1, **arguments: Any) -> Wanted:
    return _job(outcomes, files, **{**VEO, **arguments})


# fmt: off
WAYS =                             ("gemini", "vertex", "express", "proxy", "emulator")
JOBS: dict[str, Wanted] = {
    "picture":                    _job("1       1        1        1        1       "),
    "picture, input":             _job("1       1        1        1        1       ", input_images=["cat.png"]),
    "picture, gs:// input":       _job("read    1        1        read     1       ", input_images=[CLOUD_CAT]),
    "omni, text":                _omni("1       1        1        no-clip  1       "),
    "omni, image":               _omni("1       1        1        no-clip  1       ", image="cat.png"),
    "omni, gs:// image":         _omni("read    1        1        no-clip  1       ", image=CLOUD_CAT),
    "omni, first and last":      _omni("1       1        1        no-clip  1       ", **FRAMES),
    "omni, references":          _omni("1       1        1        no-clip  1       ", **REFERENCES),
    "omni, 2 clips":             _omni("2       2        2        no-clip  2       ", count=2, files=2),
    "omni, silent":              _omni("loud    loud     loud     no-clip  loud    ", generate_audio=False),
    "omni, negative prompt":     _omni("1       1        1        no-clip  1       ", negative_prompt="rain"),
    "omni, storage_uri":         _omni("bucket  1        login    no-clip  bucket  ", storage_uri=f"{IN_BUCKET}/made/"),
    "omni, upload_to":           _omni("read    1        login    no-clip  1       ", upload_to=f"{IN_BUCKET}/copies/"),
    "omni, extension of a job":  _omni("1       1        1        no-clip  1       ", source="{job}"),
    "omni, extension of gs://":  _omni("read    1        1        no-clip  1       ", source=CLOUD_OMNI),
    "omni, extension of a file": _omni("1       1        1        no-clip  1       ", source="omni.mp4"),
    "veo, text":                  _veo("no-veo  1        1        no-clip  1       "),
    "veo, image":                 _veo("no-veo  1        1        no-clip  1       ", image="cat.png"),
    "veo, gs:// image":           _veo("no-veo  1        1        no-clip  1       ", image=CLOUD_CAT),
    "veo, first and last":        _veo("no-veo  1        1        no-clip  1       ", **FRAMES),
    "veo, references":            _veo("no-veo  1        1        no-clip  1       ", **REFERENCES, **LONG),
    "veo, 4 samples":             _veo("no-veo  1        1        no-clip  1       ", count=4, files=4),
    "veo, silent":                _veo("no-veo  1        1        no-clip  1       ", generate_audio=False),
    "veo, negative prompt":       _veo("no-veo  1        1        no-clip  1       ", negative_prompt="rain"),
    "veo, storage_uri":           _veo("no-veo  1        login    no-clip  1       ", storage_uri=f"{IN_BUCKET}/made/"),
    "veo, upload_to":             _veo("no-veo  1        login    no-clip  1       ", upload_to=f"{IN_BUCKET}/copies/"),
    "veo, extension of a job":    _veo("no-veo  1        1        no-clip  1       ", source="{job}", **MORE),
    "veo, extension of gs://":    _veo("no-veo  1        1        no-clip  1       ", source=CLOUD_VEO, **MORE),
    "veo, extension of a file":   _veo("no-veo  1        1        no-clip  1       ", source="veo.mp4", **MORE),
}
# fmt: on

# ---------------------------------------------------------------- driving a cell


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Clips to extend: job ids by way and model, and files."""

    state: Path
    jobs: dict[tuple[str, str], str]
    files: dict[str, Path]


async def _ask(app: App, tool: str, arguments: dict[str, Any]) -> JobReport:
    kinds: dict[str, Any] = {
        "generate_image": GenerateImageRequest,
        "generate_video": GenerateVideoRequest,
        "extend_video": ExtendVideoRequest,
    }
    report: JobReport = await getattr(app.generator, tool)(kinds[tool].model_validate(arguments))
    return report


async def _make_sources(environment: dict[str, str], account: Path, folder: Path) -> Sources:
    jobs: dict[tuple[str, str], str] = {}
    files: dict[str, Path] = {}
    holders = {
        "gemini": ("gemini", {"GEMINI_API_KEY": "AIzaOther"}),
        "vertex": ("vertex", {"GOOGLE_APPLICATION_CREDENTIALS": str(account)}),
        "express": ("vertex", {"VERTEX_AI_API_KEY": "AQ.other", "HOME": str(folder)}),
        "emulator": ("emulator", {}),
    }
    for way, (backend, variables) in holders.items():
        async with open_app(read_settings({**environment, **variables})) as app:
            for name, model in (("omni", OMNI), ("veo", VEO)):
                if (way, name) != ("gemini", "veo"):
                    report = await _ask(app, "generate_video", {"prompt": "a start", "backend": backend, **model})
                    assert report.job_id, report.error
                    jobs[way, name] = report.job_id
                    files[name] = report.artifacts[0].file
    return Sources(state=folder / "state", jobs=jobs, files=files)


@pytest.fixture(scope="module")
def sources(
    lasting_emulator: EmulatorHandle, service_account: Path, tmp_path_factory: pytest.TempPathFactory
) -> Sources:
    folder = tmp_path_factory.mktemp("sources")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        environment = _base(lasting_emulator.url, folder / "state", folder)
        found = anyio.run(_make_sources, environment, service_account, folder)
    lasting_emulator.put_object(BUCKET, "cat.png", (DATA / "chelsea.png").read_bytes(), "image/png")
    for name, path in found.files.items():
        lasting_emulator.put_object(BUCKET, f"{name}.mp4", path.read_bytes(), "video/mp4")
    return found


def _base(url: str, state: Path, output: Path) -> dict[str, str]:
    return {
        **surfaces_at(url),
        "MEDIAGEN_STATE_DIR": str(state),
        "MEDIAGEN_OUTPUT_DIR": str(output),
        "MEDIAGEN_POLL_SECONDS": "0.02",
        "MEDIAGEN_WAIT_SECONDS": "30",
    }


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where the cells of one credential are driven.

    Attributes:
        pictures: Files that were made and have not been looked at yet; `clips` alike.
    """

    app: App
    emulator: EmulatorHandle
    held: Held
    sources: Sources
    pictures: list[Path] = field(default_factory=list)
    clips: list[Path] = field(default_factory=list)

    def is_made(self, surface: str, job: str) -> bool:
        return bool({job, "*"} & set(self.held.made.get(surface, ())))

    async def complaint(self, surface: str, job: str) -> str | None:
        """What is not as the tables say; None when the cell holds."""
        wanted, way = JOBS[job], self.held.way(surface)
        words, paid = self._expected(wanted, way)
        before = len(self.emulator.requests())
        paid_before = self._paid()
        is_planned = words is None and not self.is_made(surface, job)
        try:
            report = await _ask(self.app, wanted.tool, self._arguments(wanted, way, surface, is_planned))
        except MediaGenError as error:
            return self._complaint_of_refusal(error, words, self.emulator.requests()[before:])
        if words is not None:
            return f"was not refused: {report.status}"
        if SECRET in report.model_dump_json():
            return "shows its key"
        if is_planned:
            return None if self._paid() == paid_before and report.status == "dry_run" else "a plan was paid for"
        assert isinstance(way, Way)
        complaint = self._complaint_of_result(report, wanted)
        if complaint is None and (count := self._paid() - paid_before) != paid:
            complaint = f"cost {count} paid requests instead of {paid}"
        return complaint or _complaint_of_requests(self.emulator.requests()[before:], way)

    def _expected(self, wanted: Wanted, way: Way | str) -> tuple[str | None, int]:
        """The words of the refusal, or None and the number of paid requests."""
        if isinstance(way, str):
            return way, 0
        outcome = wanted.outcomes[way.name]
        if outcome == "read":
            outcome = "1" if self.held.is_login else "login"
        return (None, int(outcome)) if outcome.isdigit() else (REFUSALS[outcome], 0)

    def _arguments(self, wanted: Wanted, way: Way | str, surface: str, is_planned: bool) -> dict[str, Any]:
        arguments = {"prompt": "a lake", "backend": surface, **wanted.arguments, "dry_run": is_planned}
        if arguments.get("source") == "{job}":
            model = "omni" if wanted.arguments["model"] == OMNI["model"] else "veo"
            name = way.name if isinstance(way, Way) else "emulator"
            arguments["source"] = self.sources.jobs.get((name, model), self.sources.jobs["emulator", model])
        return arguments

    def _complaint_of_refusal(
        self, error: MediaGenError, words: str | None, requests: list[dict[str, Any]]
    ) -> str | None:
        said = f"{error} [{error.code}]"
        if words is None:
            return f"was refused: {said}"
        if SECRET in said:
            return "shows its key in a refusal"
        if re.search(words, said) is None:
            return f"was refused in other words: {said}"
        return f"was refused, but {requests[0]['path']} was asked" if requests else None

    def _complaint_of_result(self, report: JobReport, wanted: Wanted) -> str | None:
        if report.status != "succeeded":
            return f"{report.status}: {report.error} {report.warnings}"
        if len(report.artifacts) != wanted.files:
            return f"{len(report.artifacts)} files instead of {wanted.files}"
        kept = self.pictures if wanted.tool == "generate_image" else self.clips
        kept += [artifact.file for artifact in report.artifacts]
        in_bucket = wanted.arguments.get("storage_uri") or wanted.arguments.get("upload_to")
        if not in_bucket:
            return None
        uri = report.artifacts[0].gcs_uri or ""
        if not uri.startswith(in_bucket):
            return f"is at {uri!r} instead of {in_bucket}"
        name = uri.removeprefix(f"{IN_BUCKET}/")
        there, path = self.emulator.object_bytes(BUCKET, name), report.artifacts[0].file
        # Ours carries the record of how it was made; what Google wrote does not.
        same = there == path.read_bytes() or hashlib.sha256(there).hexdigest() == sha256_as_made(path)
        return None if same else "has another content in the bucket"

    def _paid(self) -> int:
        return int(self.emulator.bill()["paid_submissions"])


def _complaint_of_requests(requests: list[dict[str, Any]], way: Way) -> str | None:
    """Every request but those for tokens and buckets went the way it should, with the one credential of that way."""
    calls = [request for request in requests if "/storage/" not in request["path"] and request["path"] != "/token"]
    if not calls:
        return "nothing was asked"
    for request in calls:
        path = request["path"]
        signed_by = {"x-goog-api-key", "authorization"} & set(request["headers"])
        # The emulator speaks two protocols, each with its own header.
        header = way.header or ("authorization" if "/projects/" in path else "x-goog-api-key")
        if not path.startswith(way.paths) or signed_by != {header} or "key" in request["query"]:
            return f"asked {path} with {sorted(signed_by)}"
    return None


def _check_files(bench: Bench) -> None:
    """Every file that was made can be read to its end and decoded; of clips only the key frames, to save time."""
    for path in bench.pictures:
        with Image.open(path) as picture:
            picture.load()
    inputs = [word for path in bench.clips for word in ("-skip_frame", "nokey", "-i", str(path))]
    maps = [word for number in range(len(bench.clips)) for word in ("-map", str(number))]
    if inputs:
        command = [find_ffmpeg(None), "-v", "error", "-xerror", *inputs, *maps, "-f", "null", "-"]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def open_bench(
    lasting_emulator: EmulatorHandle,
    sources: Sources,
    service_account: Path,
    user_login: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Held], AbstractAsyncContextManager[Bench]]:
    for name, path in sources.files.items():
        shutil.copy(path, work / f"{name}.mp4")

    def filled(text: str) -> str:
        return text.replace("{account}", str(service_account)).replace("{user}", str(user_login))

    @asynccontextmanager
    async def opened(held: Held) -> AsyncIterator[Bench]:
        environment = _base(lasting_emulator.url, sources.state, work)
        environment |= {name: filled(value) for name, value in held.variables.items()}
        if held.is_login:
            environment["STORAGE_EMULATOR_HOST"] = lasting_emulator.url
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", lasting_emulator.url)
        if held.profile:
            (work / "mediagen.toml").write_text(f"[profiles.film]\n{filled(held.profile)}\n")
        if held.gcloud:
            folder = Path(os.environ["HOME"]) / ".config" / "gcloud"
            folder.mkdir(parents=True)
            shutil.copy(user_login, folder / "application_default_credentials.json")
        async with open_app(read_settings(environment)) as app:
            yield Bench(app=app, emulator=lasting_emulator, held=held, sources=sources)

    return opened


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_every_cell_of_a_credential_is_made_or_refused_in_words(
    credential: str, open_bench: Callable[[Held], AbstractAsyncContextManager[Bench]]
):
    held = CREDENTIALS[credential]
    complaints = []
    async with open_bench(held) as bench:
        for surface, job in product(SURFACES, JOBS):
            if complaint := await bench.complaint(surface, job):
                complaints.append(f"{surface} × {credential} × {job}: {complaint}")
    assert not complaints, "\n".join(complaints)
    _check_files(bench)


def test_every_way_in_is_really_gone_with_every_kind_of_job():
    """What is only planned for one credential is made for another that opens the same way."""
    named = {
        (way.name, job)
        for held in CREDENTIALS.values()
        for surface, jobs in held.made.items()
        if isinstance(way := held.way(surface), Way)
        for job in (JOBS if "*" in jobs else jobs)
    }
    for way in ("gemini", "vertex", "proxy"):
        assert {job for name, job in named if name == way} == set(JOBS)
    assert {job for name, job in named if name == "express"} >= {"picture", "omni, text", "veo, text"}
    assert {job for name, job in named if name == "emulator"} >= {"picture", "omni, text", "veo, text"}


def test_every_job_that_is_named_exists():
    named = {job for held in CREDENTIALS.values() for jobs in held.made.values() for job in jobs}
    assert named - set(JOBS) == {"*"}
