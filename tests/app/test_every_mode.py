"""Every mode of every model on every surface: made by the body that Google's own SDK sends, or refused with a way out.

The cells are those of the table in docs/reference/modes.md: both come from `catalog.matrix.cells`.
"""

import base64
import dataclasses
import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.app.conftest import PROJECT, surfaces_at
from tests.endpoints.test_captures import CAPTURES, EXCEPTIONS, PNG, WIRE, merged, plain

from mediagen.app.app import App, open_app
from mediagen.catalog import Catalog
from mediagen.catalog.matrix import Cell, cells
from mediagen.emulator.thread import EmulatorHandle
from mediagen.emulator.traffic import shorten
from mediagen.errors import MediaGenError
from mediagen.generator.frames import take_frame
from mediagen.media.ffmpeg import find_ffmpeg
from mediagen.modes import MODES
from mediagen.report.job import JobReport
from mediagen.requests import ExtendVideoRequest, GenerateVideoRequest
from mediagen.settings import read_settings

CATALOG = Catalog.load()
CELLS = tuple(cells(CATALOG, MODES, CATALOG.as_of))
POSSIBLE = [cell for cell in CELLS if cell.way]
REFUSED = [cell for cell in CELLS if not cell.way]
PAID = ("/interactions", ":predictLongRunning")
AT_ONCE = 4
DEADLINE_SECONDS = 120
CLIP_SECONDS = 4
REMIX_START = 1.0
CAPTURED_CLIP = b"\x00\x00\x00\x18ftypmp42" + bytes(40)

# ---------------------------------------------------------------- what is asked

PICTURE, CLIP = "dot.png", "clip.mp4"
# The least that each mode needs; as many pictures as the captures have.
INPUTS: Mapping[str, dict[str, Any]] = {
    "text_to_video": {},
    "image_to_video": {"image": PICTURE},
    "first_last_frames": {"image": PICTURE, "last_frame": PICTURE},
    "reference_asset": {"reference_images": [PICTURE, f"{PICTURE}:asset", PICTURE]},
    "reference_style": {"reference_images": [f"{PICTURE}:style"]},
    "video_extension": {"source": CLIP},
    "insert_objects": {"video": CLIP, "mask": PICTURE, "mask_mode": "insert"},
    "remove_objects": {"video": CLIP, "mask": PICTURE, "mask_mode": "remove_static"},
    "video_edit": {"video": CLIP},
    "remix": {"remix_from": CLIP, "remix_start": str(REMIX_START), "remix_last_frame": True},
}


def arguments(cell: Cell, **changes: Any) -> dict[str, Any]:
    """What is asked of a cell: short and small."""
    is_omni = cell.spec.api == "interactions"
    size: dict[str, Any] = {"resolution": "360p" if is_omni else "720p"}
    if cell.way != "video_edit":
        size["duration_seconds"] = seconds_of(cell)
    prompt = (OMNI if is_omni else VEO).get(cell.mode, ("", "a cat"))[1]
    given = {"prompt": prompt, "model": cell.spec.id, "backend": cell.surface, **size, **INPUTS[cell.mode]}
    return {**given, **changes}


def seconds_of(cell: Cell) -> int:
    if cell.way == "video_edit":
        return CLIP_SECONDS
    return min(cell.spec.durations_for("first_last_frames" if cell.mode == "remix" else cell.way or "") or (4,))


async def ask(app: App, cell: Cell, **changes: Any) -> JobReport:
    given = arguments(cell, **changes)
    if cell.mode == "video_extension":
        return await app.generator.extend_video(ExtendVideoRequest.model_validate(given))
    return await app.generator.generate_video(GenerateVideoRequest.model_validate(given))


# ---------------------------------------------------------------- what is sent

# Capture of the call by which a mode is reached, and the prompt that the caller gives for it.
OMNI: Mapping[str, tuple[str, str]] = {
    "text_to_video": ("omni_text_inline", "a cat"),
    "image_to_video": ("omni_image_to_video", "the cube spins"),
    "first_last_frames": ("omni_first_last", "morph"),
    "reference_asset": ("omni_references", "together"),
    "reference_style": ("omni_references", "together"),
    "video_extension": ("omni_extend_uri", "Continue the scene."),
    "insert_objects": ("omni_edit_video_uri", "a hat"),
    "remove_objects": ("omni_edit_video_uri", "the fence"),
    "video_edit": ("omni_edit_video_uri", "make it anime. Keep everything else the same."),
    "remix": ("omni_first_last", "morph"),
}
VEO: Mapping[str, tuple[str, str]] = {
    "text_to_video": ("veo_text", "a cat"),
    "image_to_video": ("veo_image", "move"),
    "first_last_frames": ("veo_first_last", "morph"),
    "reference_asset": ("veo_ref_asset", "together"),
    "video_extension": ("veo_extend_bytes", "continue"),
    "remix": ("veo_first_last", "morph"),
}
KEEP = "Keep everything else the same."
# Modes without fields of their own: the pictures, and the words that say what they are for.
IN_WORDS: Mapping[str, tuple[list[str], str]] = {
    "reference_style": (["PICTURE"], "together\n\nIn the style of <IMAGE_REF_0>."),
    "insert_objects": (
        ["CLIP", "PICTURE"],
        f"Insert into the video, only inside the white area of the mask <IMAGE_REF_0>: a hat\n\n{KEEP}",
    ),
    "remove_objects": (
        ["CLIP", "PICTURE"],
        "Remove from the video what does not move, only inside the white area of the mask <IMAGE_REF_0>: the fence\n\n"
        f"Show what would be behind it. {KEEP}",
    ),
}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True, kw_only=True)
class Media:
    """The inputs of the walk, and by what they are known in a body."""

    clip: Path
    first: bytes
    last: bytes
    url: str

    def labelled(self, value: Any) -> Any:
        """A body whose media are words."""
        known = {
            b64(PNG): "PICTURE",
            b64(CAPTURED_CLIP): "CLIP",
            shorten(b64(self.clip.read_bytes())): "CLIP",
            shorten(b64(self.first)): "FIRST",
            shorten(b64(self.last)): "LAST",
        }
        if isinstance(value, list):
            return [self.labelled(item) for item in value]
        if isinstance(value, dict):
            found = {name: self.labelled(item) for name, item in value.items()}
            # Whether a clip goes in itself or by its address hangs on the surface, not on the mode.
            if found.get("type") == "video" and "mime_type" in found and found.keys() & {"uri", "data"}:
                address = found.pop("uri", "")
                is_ours = address.startswith((f"{self.url}/v1beta/files/", "https://generativelanguage.", "gs://"))
                found["data"] = "CLIP" if is_ours else found.get("data")
            return found
        return known.get(value, value) if isinstance(value, str) else value


def captured(name: str) -> Any:
    """What Google's SDK sends, with what we send otherwise, which `test_captures` explains."""
    body = plain(json.loads((WIRE / f"{name}.json").read_text())["body"])
    return merged(body, EXCEPTIONS[name].patch) if name in EXCEPTIONS else body


def wanted_body(cell: Cell, media: Media) -> Any:
    """The captured body of a cell, at the length, size and shape of the walk."""
    frames = {"PICTURE": ["FIRST", "LAST"]}
    if cell.spec.api == "predict_long_running":
        body = media.labelled(captured(f"{VEO[cell.mode][0]}__vertex"))
        form = {"durationSeconds": seconds_of(cell), "resolution": "720p", "aspectRatio": "16:9"}
        body = merged(body, {"parameters": form})
        if cell.mode == "remix":
            for name, label in zip(("image", "lastFrame"), frames["PICTURE"], strict=True):
                body["instances"][0][name]["bytesBase64Encoded"] = label
        return body
    body = media.labelled(captured(f"{OMNI[cell.mode][0]}__{cell.surface}"))
    shape = {} if cell.way == "video_edit" else {"duration": f"{seconds_of(cell)}s", "aspect_ratio": "16:9"}
    body = merged(body, {"model": cell.spec.id, "response_format": {"resolution": "360p", **shape}})
    if cell.mode in IN_WORDS:
        labels, text = IN_WORDS[cell.mode]
        body["input"] = [{"type": "user_input", "content": [*map(content_of, labels), {"type": "text", "text": text}]}]
    if cell.mode == "remix":
        for item, label in zip(body["input"][0]["content"][:2], frames["PICTURE"], strict=True):
            item["data"] = label
    return body


def content_of(label: str) -> dict[str, str]:
    kind, mime_type = ("video", "video/mp4") if label == "CLIP" else ("image", "image/png")
    return {"type": kind, "mime_type": mime_type, "data": label}


def wanted_path(cell: Cell) -> str:
    if cell.surface == "gemini":
        return "/v1beta/interactions"
    location, _ = cell.spec.location_for("vertex", None)
    place = f"/v1beta1/projects/{PROJECT}/locations/{location}"
    if cell.spec.api == "interactions":
        return f"{place}/interactions"
    return f"{place}/publishers/google/models/{cell.spec.id}:predictLongRunning"


# ---------------------------------------------------------------- the walk


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of two different halves, H.264 at 24 frames a second, and a picture."""
    folder = tmp_path_factory.mktemp("modes")
    halves = [f"{kind}:size=1280x720:rate=24:duration={CLIP_SECONDS / 2}" for kind in ("color=c=teal", "testsrc2=")]
    inputs = [word for half in halves for word in ("-f", "lavfi", "-i", half.replace("=:", "="))]
    joined = ["-filter_complex", "[0][1]concat=n=2", "-pix_fmt", "yuv420p", "-c:v", "libx264"]
    subprocess.run([find_ffmpeg(None), "-v", "error", *inputs, *joined, str(folder / CLIP)], check=True, timeout=30)
    (folder / PICTURE).write_bytes(PNG)
    return folder


Open = Callable[[], AbstractAsyncContextManager[App]]


@pytest.fixture
def opened(
    walked: Path, lasting_emulator: EmulatorHandle, service_account: Path, monkeypatch: pytest.MonkeyPatch
) -> Open:
    """Opens the parts with every surface; entered in the test itself, as task groups want it."""
    monkeypatch.chdir(walked)
    settings = read_settings(
        {
            **surfaces_at(lasting_emulator.url),
            "GEMINI_API_KEY": "AIzaKeyOfModes",
            "GOOGLE_APPLICATION_CREDENTIALS": str(service_account),
            "CLIPROXY_API_KEY": "proxy-key",
            "MEDIAGEN_STATE_DIR": str(walked / "state"),
            "MEDIAGEN_OUTPUT_DIR": str(walked / "made"),
            "MEDIAGEN_POLL_SECONDS": "0.05",
            "MEDIAGEN_WAIT_SECONDS": str(DEADLINE_SECONDS),
        }
    )
    return lambda: open_app(settings)


@pytest.fixture
async def media(walked: Path, lasting_emulator: EmulatorHandle) -> Media:
    clip = walked / CLIP
    first, last = await take_frame(clip, REMIX_START, None), await take_frame(clip, None, None)
    assert shorten(b64(first)) != shorten(b64(last))
    return Media(clip=clip, first=first, last=last, url=lasting_emulator.url)


def name_of(cell: Cell) -> str:
    return f"{cell.mode} × {cell.spec.id} × {cell.surface}"


def paid_requests(emulator: EmulatorHandle, since: int) -> list[dict[str, Any]]:
    return [
        found for found in emulator.requests()[since:] if found["method"] == "POST" and found["path"].endswith(PAID)
    ]


async def make_all(app: App, wanted: Sequence[Cell]) -> list[JobReport]:
    """Make cells side by side."""
    made: dict[int, JobReport] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def one(number: int, cell: Cell) -> None:
        async with limit:
            made[number] = await ask(app, cell, preview=False)

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            for number, cell in enumerate(wanted):
                tasks.start_soon(one, number, cell)
    return [made[number] for number in range(len(wanted))]


def complaints_of_way(cell: Cell, report: JobReport) -> Iterator[str]:
    """What does not say which way was taken."""
    taken = "first_last_frames" if cell.mode == "remix" else cell.way
    if (report.mode, report.effective["mode"]) != (cell.mode, cell.mode):
        yield f"is called {report.mode}"
    if report.effective.get("way", cell.mode) != taken:
        yield f"went the way {report.effective.get('way')}"
    told = [(item.from_, item.to) for item in report.adjustments if item.field == "mode"]
    if told != ([] if taken == cell.mode else [(cell.mode, taken)]):
        yield f"says {told} of its way"
    if not all(item.reason for item in report.adjustments):
        yield "changes something without a reason"
    unexpected = {item.field for item in report.adjustments} - {"mode", "mask", "mask_mode"}
    if unexpected:
        yield f"changed {sorted(unexpected)}"


def complaints_of_price(cell: Cell, report: JobReport, bill: Mapping[str, Decimal]) -> Iterator[str]:
    quote = report.quote
    if quote.min_usd is None or quote.max_usd is None or quote.usd is None:
        yield "has no price"
        return
    if not quote.min_usd <= quote.usd <= quote.max_usd:
        yield f"is quoted at {quote.usd}, outside of {quote.min_usd} to {quote.max_usd}"
    billed = bill.get(report.remote.operation or "")
    for what, usd in (("charged", report.charge.usd), ("billed", billed)):
        if usd is None or usd > quote.max_usd:
            yield f"is {what} {usd}, quoted at most {quote.max_usd}"
    if report.effective["duration_seconds"] != seconds_of(cell):
        yield f"lasts {report.effective['duration_seconds']} s"
    if f"{seconds_of(cell)} s ×" not in quote.basis:
        yield f"has a price for another length: {quote.basis}"


async def test_every_accepted_cell_is_made_once_by_the_captured_body(
    opened: Open, media: Media, lasting_emulator: EmulatorHandle
) -> None:
    since = len(lasting_emulator.requests())
    contents = (media.clip.read_bytes(), media.first, media.last)
    film_and_frames = [hashlib.sha256(content).hexdigest() for content in contents]
    async with opened() as app:
        reports = await make_all(app, POSSIBLE)
        jobs = [await app.generator.ledger.get(report.job_id or "") for report in reports]
    sent = [(found["path"], media.labelled(found["body"])) for found in paid_requests(lasting_emulator, since)]
    bill = {item["operation"]: Decimal(item["usd"]) for item in lasting_emulator.bill()["items"]}
    complaints = []
    for cell, report, job in zip(POSSIBLE, reports, jobs, strict=True):
        found = [*complaints_of_way(cell, report), *complaints_of_price(cell, report, bill)]
        if report.status != "succeeded":
            found.append(f"is {report.status}: {report.error}")
        wanted = (wanted_path(cell), wanted_body(cell, media))
        if (number := sent.count(wanted)) != 1:
            near = [body for path, body in sent if path == wanted[0] and cell.spec.id in str((path, body))]
            found.append(f"was sent {number} times as {wanted}; sent were {near}")
        if cell.mode == "remix" and [item["sha256"] for item in job.input_files["remix_from"]] != film_and_frames:
            found.append("is recorded with another film or other frames")
        complaints += [f"{name_of(cell)}: {complaint}" for complaint in found]
    assert not complaints, "\n".join(complaints)
    assert len(sent) == len(POSSIBLE)


async def test_clip_that_was_made_is_extended_from_its_job(
    opened: Open, media: Media, lasting_emulator: EmulatorHandle
) -> None:
    by_way = {(cell.spec.api, cell.surface): cell for cell in POSSIBLE if cell.mode == "video_extension"}
    starts = [
        next(cell for cell in POSSIBLE if (cell.spec, cell.surface) == (wanted.spec, wanted.surface))
        for wanted in by_way.values()
    ]
    assert {cell.mode for cell in starts} == {"text_to_video"}
    async with opened() as app:
        sources = await make_all(app, starts)
        for cell, source in zip(by_way.values(), sources, strict=True):
            since = len(lasting_emulator.requests())
            report = await ask(app, cell, source=source.job_id, preview=False)
            assert report.status == "succeeded", (name_of(cell), report.error)
            (sent,) = paid_requests(lasting_emulator, since)
            made = dataclasses.replace(media, clip=source.artifacts[0].file)
            assert made.labelled(sent["body"]) == wanted_continuation(cell, made, source), name_of(cell)
            assert (await app.generator.ledger.get(report.job_id or "")).parent_job_id == source.job_id


def wanted_continuation(cell: Cell, media: Media, source: JobReport) -> Any:
    """The captured body of an extension: Omni needs no file, for the clip is known by the name of its interaction."""
    if cell.spec.api == "predict_long_running":
        return wanted_body(cell, media)
    form = {"resolution": "360p", "duration": f"{seconds_of(cell)}s", "aspect_ratio": "16:9"}
    text = OMNI[cell.mode][1]
    own = {"model": cell.spec.id, "previous_interaction_id": source.remote.operation, "input": text}
    return merged(captured(f"omni_extend_previous__{cell.surface}"), {**own, "response_format": form})


# ---------------------------------------------------------------- refusals


def ways_out(cell: Cell, error: MediaGenError) -> list[tuple[str, str]]:
    """Model and surface of each thing that a refusal proposes."""
    models = re.findall(r"model='([^']+)'", error.hint)
    surfaces = re.findall(r"backend='([^']+)'", error.hint)
    found = [(model, surfaces[0] if surfaces else cell.surface) for model in models]
    if "choose one of those surfaces" in error.hint:
        found += [(cell.spec.id, surface) for surface in re.findall(r"backend='([^']+)'", error.message)]
    return found


async def test_every_refused_cell_sends_nothing_and_each_way_out_of_it_is_open(
    opened: Open, lasting_emulator: EmulatorHandle
) -> None:
    since = len(lasting_emulator.requests())
    complaints = []
    possible = {(cell.mode, cell.spec.id, str(cell.surface)): cell for cell in POSSIBLE}
    async with opened() as app:
        for cell in REFUSED:
            with pytest.raises(MediaGenError) as refused:
                await ask(app, cell)
            error = refused.value
            found = ways_out(cell, error)
            closed = [way for way in found if (cell.mode, *way) not in possible]
            if not found or closed or error.billed != "no" or error.code == "internal":
                complaints.append(f"{name_of(cell)}: {error} [{error.code}] proposes {found}, closed: {closed}")
                continue
            for model, surface in found:
                report = await ask(app, possible[cell.mode, model, surface], dry_run=True)
                assert report.status == "dry_run"
    assert not complaints, "\n".join(complaints)
    assert lasting_emulator.requests()[since:] == []


def test_walk_covers_the_table_and_names_existing_captures() -> None:
    assert {(cell.mode, cell.spec.id, cell.surface) for cell in CELLS} == {
        (mode, spec.id, surface)
        for mode in MODES
        for spec in CATALOG.models("video")
        if spec.modes is not None
        for surface in ("gemini", "vertex", "cliproxy")
    }
    names = {f"{name}__{surface}" for name, _ in OMNI.values() for surface in ("gemini", "vertex")}
    assert names | {f"{name}__vertex" for name, _ in VEO.values()} <= set(CAPTURES)
