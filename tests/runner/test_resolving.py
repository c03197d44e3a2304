"""Jobs that only their user can settle: with the bill at hand, or with a name found at Google."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.conftest import paid
from tests.runner.asking import change, clip, image, until, veo, wait_for
from tests.runner.lost import lost_clip, resolution

from mediagen.app.app import App, open_app
from mediagen.errors import BudgetExceededError, InvalidRequestError, JobNotFoundError, MediaGenError
from mediagen.generator.resolving import resolve_job
from mediagen.report.job import JobReport
from mediagen.requests import GetSpendRequest
from mediagen.settings import Settings

VertexSettings = Callable[..., Settings]
INTERACTIONS = {"method": "POST", "path_contains": "interactions"}
OMNI = {"model": "omni", "duration_seconds": 3, "resolution": "360p"}


async def settle(app: App, report: JobReport, **given: object) -> JobReport:
    return await resolve_job(app.generator, resolution(report, **given), "the tool resolve_job")


async def spent(app: App) -> dict[str, Decimal]:
    total = (await app.spending.get_spend(GetSpendRequest())).total
    return {"charged": total.charged_usd, "possibly": total.possibly_billed_usd}


@pytest.mark.parametrize("outcome", ["billed", "not_billed"])
async def test_word_of_the_user_settles_money_state_and_record(
    vertex_settings: VertexSettings, emulator, work: Path, outcome: str
):
    async with open_app(vertex_settings()) as app:
        lost = await lost_clip(app, emulator, fault="lost_after_accept", count=2)
        usd = lost.quote.usd
        assert await spent(app) == {"charged": 0, "possibly": usd}
        assert lost.next is not None
        assert (lost.next.tool, lost.next.arguments["job_id"]) == ("resolve_job", lost.job_id)
        done = await settle(app, lost, outcome=outcome)
        assert await spent(app) == {"charged": usd if outcome == "billed" else 0, "possibly": 0}
        assert await wait_for(app, lost.job_id) == done
    words = outcome.replace("_", " ")
    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.code, done.error.billed) == (f"resolved_{outcome}", "yes" if outcome == "billed" else "no")
    assert "Resolved by the user on 20" in done.error.message
    assert "through the tool resolve_job" in done.error.message
    assert f"resolved by the user as {words}" in done.charge.basis
    assert done.charge.usd == (usd if outcome == "billed" else 0)
    record = json.loads((work / "lost_0.json").read_text())
    assert record["error"]["type"] == f"resolved_{outcome}"
    if outcome == "not_billed":
        assert done.next is not None
        assert done.next.tool == "generate_video"


async def test_what_is_set_free_may_be_spent_again(vertex_settings: VertexSettings, emulator):
    async with open_app(vertex_settings(MEDIAGEN_MAX_USD_PER_DAY="0.50")) as app:
        lost = await lost_clip(app, emulator, fault="lost_after_accept")
        with pytest.raises(BudgetExceededError):
            await veo(app)
        await settle(app, lost, outcome="not_billed")
        assert (await veo(app)).status == "succeeded"


async def test_mistake_is_resolved_again(vertex_settings: VertexSettings, emulator):
    async with open_app(vertex_settings()) as app:
        lost = await lost_clip(app, emulator, fault="lost_after_accept")
        await settle(app, lost, outcome="not_billed")
        done = await settle(app, lost, outcome="billed")
    assert done.charge.usd == lost.quote.usd
    assert done.error is not None
    assert done.error.message.count("Resolved by the user") == 1


async def test_picture_is_settled_too(vertex_settings: VertexSettings, emulator):
    emulator.add_fault(fault="drop_after_accept", match={"path_contains": "generateContent"})
    async with open_app(vertex_settings()) as app:
        lost = await image(app)
        assert lost.status == "unconfirmed"
        with pytest.raises(InvalidRequestError, match="a picture is answered at once"):
            await settle(app, lost, operation="v1_abc")
        done = await settle(app, lost, outcome="billed")
    assert done.charge.billed == "yes"


def operation_of(emulator) -> str:
    """Name of the operation whose answer was lost, as the bill at Google has it."""
    return str(emulator.bill()["items"][0]["operation"])


@pytest.mark.parametrize("surface", ["veo", "omni"])
async def test_operation_that_the_user_found_brings_the_clip(
    vertex_settings: VertexSettings, emulator, work: Path, surface: str
):
    match = {"method": "POST", "path_contains": "interactions" if surface == "omni" else "predictLongRunning"}
    emulator.add_fault(fault="drop_after_accept", match=match)
    async with open_app(vertex_settings()) as app:
        lost = await veo(app, output_name="lost", **(OMNI if surface == "omni" else {}))
        assert lost.status == "unconfirmed"
        done = await settle(app, lost, operation=operation_of(emulator), wait_seconds=60)
    assert done.status == "succeeded", done.error
    assert done.charge.billed == "yes"
    assert json.loads((work / "lost.json").read_text())["state"] == "succeeded"
    assert any("named by the user through the tool resolve_job" in warning for warning in done.warnings)
    assert paid(emulator) == 1


MODEL = "projects/film-project/locations/global/publishers/google/models"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{MODEL}/veo-3.1-fast-generate-001/operations/0f0f", "Google does not know it"),
        (f"{MODEL}/veo-3.1-generate-001/operations/0f0f", "it is one of veo-3.1-generate-001"),
        ("../../operations/1", "it is no name"),
        ("a b", "it is no name"),
        ("v1_🎬", "it is no name"),
        ("v1_unknown", "Google does not know it"),
    ],
)
async def test_name_that_is_not_that_of_the_job_changes_nothing(
    vertex_settings: VertexSettings, emulator, name: str, words: str
):
    async with open_app(vertex_settings()) as app:
        lost = await lost_clip(app, emulator, fault="lost_after_accept")
        with pytest.raises(InvalidRequestError, match=words) as caught:
            await settle(app, lost, operation=name)
        assert caught.value.field == "operation"
        assert "Nothing was changed" in caught.value.message
        assert await wait_for(app, lost.job_id) == lost


async def test_operation_of_another_job_is_refused(make_settings: Callable[..., Settings], emulator):
    async with open_app(make_settings()) as app:
        made = await clip(app)
        emulator.add_fault(fault="drop_after_accept", match=INTERACTIONS)
        lost = await clip(app, prompt="other waves")
        with pytest.raises(InvalidRequestError, match=f"it belongs to {made.job_id}"):
            await settle(app, lost, operation=made.remote.operation)


async def test_google_that_cannot_be_asked_changes_nothing(vertex_settings: VertexSettings, emulator, quick):
    async with open_app(vertex_settings(), http=quick) as app:
        lost = await lost_clip(app, emulator)
        emulator.add_fault(fault="overloaded", times=20, match={"path_contains": "fetchPredictOperation"})
        with pytest.raises(MediaGenError, match="Nothing was changed"):
            await settle(app, lost, operation=operation_of(emulator))
        assert (await wait_for(app, lost.job_id)).status == "unconfirmed"


async def test_what_needs_no_resolution_is_refused(make_settings: Callable[..., Settings], emulator, ledger_file: Path):
    async with open_app(make_settings()) as app:
        made = await image(app)
        with pytest.raises(InvalidRequestError, match="nothing is to be resolved"):
            await settle(app, made, outcome="not_billed")
        with pytest.raises(InvalidRequestError, match="one of the two"):
            await settle(app, made)
        with pytest.raises(InvalidRequestError, match="one of the two"):
            await settle(app, made, outcome="billed", operation="v1_abc")
        with pytest.raises(JobNotFoundError):
            await settle(app, made.model_copy(update={"job_id": "job_none"}), outcome="billed")
        emulator.add_fault(fault="stuck")
        running = await until(app, await clip(app, wait_seconds=0), "running")
        with pytest.raises(InvalidRequestError, match="only a job that has ended"):
            await settle(app, running, outcome="not_billed")
        change(ledger_file, "UPDATE jobs SET status = 'failed' WHERE job_id = ?", running.job_id)
