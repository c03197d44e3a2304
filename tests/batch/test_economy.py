"""Batches by Google's Batch API, on the emulator, in this process."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.conftest import paid

from mediagen.app.app import App, now, open_app
from mediagen.batch import pace, running
from mediagen.batch.pace import Pace
from mediagen.batch.prices import check_total, priced, total_usd
from mediagen.batch.rows import Row, read_rows
from mediagen.batch.running import Run
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.endpoints.http import HttpSettings
from mediagen.errors import BudgetExceededError, InvalidRequestError
from mediagen.requests import CancelJobRequest, GetSpendRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]
PAYING = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
CREATION = {"method": "POST", "path_contains": ":batchGenerateContent"}


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[App]:
    async with open_app(settings, http=HttpSettings(paid_retries=0)) as app:
        yield app


def rows_of(folder: Path, *prompts: str) -> list[Row]:
    file = folder / "prompts.txt"
    file.write_text("\n".join(prompts), encoding="utf-8")
    return economical(read_rows(file))


def economical(rows: list[Row]) -> list[Row]:
    return [Row(number=row.number, line=row.line, kind=row.kind, request=row.request.in_economy()) for row in rows]


async def a_run(app: App, folder: Path, *prompts: str, most: int = 64, again: bool = False) -> Run:
    items = await priced(app.generator, rows_of(folder, *prompts), folder)
    return Run(
        generator=app.generator,
        pace=Pace(app.generator.ledger, now),
        batch_id="one",
        folder=str(folder),
        items=items,
        most=most,
        retries_failed=again,
    )


def creations(emulator: EmulatorHandle) -> list[dict[str, Any]]:
    return [request for request in emulator.requests() if request["path"].endswith(":batchGenerateContent")]


def statuses(run: Run) -> list[str | None]:
    return [standing.report.status if standing.report else None for standing in run.standings]


async def test_each_row_is_a_job_with_its_file_its_record_and_half_the_price(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    async with opened(make_settings(**PAYING)) as app:
        run = await a_run(app, work, "a fox", "a hat")
        assert total_usd(run.items) == Decimal("0.0336")
        await run.run()
        spent = await app.spending.get_spend(GetSpendRequest.model_validate({"by": "model"}))
    assert statuses(run) == ["succeeded", "succeeded"]
    assert run.is_done
    assert paid(emulator) == 2
    # The bill of the emulator is half of what it would be one by one, and ours agrees with it.
    assert abs(run.charged_usd - Decimal(emulator.bill()["usd"])) < Decimal("0.00001")
    assert Decimal("0.0336") < run.charged_usd < Decimal("0.0337")
    assert spent.total.charged_usd == run.charged_usd
    first = run.standings[0].report
    assert first is not None
    assert first.charge.certainty == "exact"
    assert "Batch API" in first.charge.basis
    assert first.quote.usd == Decimal("0.0168")
    assert "Batch API" in first.quote.basis
    file = Path(first.artifacts[0].path or "")
    assert file.name == "001_a_fox.jpg"
    record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert record["job_id"] == first.job_id
    assert record["generation"]["economy"] is True
    # Of each row one request for money left, and it has a name of its own.
    names = [request["body"]["batch"]["displayName"] for request in creations(emulator)]
    jobs = [standing.report.job_id for standing in run.standings if standing.report]
    assert sorted(names) == sorted(f"mediagen-{job_id}-0" for job_id in jobs)


async def test_failures_of_one_row_do_not_stop_the_rest(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    prompts = [
        "a fox",
        "a hat [[fault:batch_error=3]]",
        "a tin [[fault:prompt_blocked]]",
        "a cup [[fault:batch_failed=13]]",
        "a bee [[fault:batch_expired]]",
        "a cat [[fault:bad_base64]]",
        "a dog",
    ]
    async with opened(make_settings(**PAYING)) as app:
        run = await a_run(app, work, *prompts)
        await run.run()
    assert statuses(run) == ["succeeded", "failed", "filtered", "failed", "failed", "failed", "succeeded"]
    ends = [
        standing.report.error and (standing.report.error.code, standing.report.error.billed)
        for standing in run.standings
        if standing.report
    ]
    assert ends == [
        None,
        ("invalid_argument", "no"),
        ("prompt_blocked", "no"),
        ("unavailable", "unknown"),
        ("batch_expired", "unknown"),
        ("bad_base64", "yes"),
        None,
    ]
    assert len(creations(emulator)) == len(prompts)


async def test_batch_that_was_left_is_collected_by_the_next_process(
    make_settings: MakeSettings, work: Path, tmp_path: Path
):
    with running_emulator(EmulatorSettings(batch_seconds=1000.0)) as slow:
        settings = make_settings(GOOGLE_GEMINI_BASE_URL=slow.url, **PAYING)
        async with opened(settings) as app:
            run = await a_run(app, work, "a fox", "a hat")
            with anyio.move_on_after(60):
                async with anyio.create_task_group() as group:
                    group.start_soon(run.run)
                    while len(creations(slow)) < 2:
                        await anyio.sleep(0.02)
                    # Until the name of each is in the ledger.
                    while sum(job.calls[0].operation is not None for job in await app.generator.ledger.open_jobs()) < 2:
                        await anyio.sleep(0.02)
                    group.cancel_scope.cancel()
        assert not run.is_done
        httpx.post(f"{slow.url}/emulator/age", json={"seconds": 2001}).raise_for_status()
        async with opened(settings) as app:
            again = await a_run(app, work, "a fox", "a hat")
            await again.run()
        assert statuses(again) == ["succeeded", "succeeded"]
        assert len(creations(slow)) == paid(slow) == 2
    assert len(list(work.glob("00*.jpg"))) == 2


@pytest.mark.parametrize("fault", ["drop_after_accept", "lost_after_accept"])
async def test_answer_that_was_lost_is_never_sent_again_and_the_batch_is_found_by_its_name(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    monkeypatch.setattr(running, "LOOKS", (0.05,))
    emulator.add_fault(fault=fault, match=CREATION)
    async with opened(make_settings(**PAYING)) as app:
        run = await a_run(app, work, "a fox")
        await run.run()
        spent = await app.spending.get_spend(GetSpendRequest.model_validate({"by": "model"}))
    report = run.standings[0].report
    assert report is not None
    assert len(creations(emulator)) == 1
    if fault == "drop_after_accept":
        assert report.status == "succeeded"
        assert any("found by its name" in warning for warning in report.warnings)
        assert spent.total.possibly_billed_usd == 0
        assert run.is_done
    else:
        assert (report.status, report.charge.billed) == ("unconfirmed", "unknown")
        assert report.error is not None
        assert "no batch named" in report.error.hint
        assert "looks for its batch" in report.error.hint
        assert spent.total.possibly_billed_usd == Decimal("0.0168")
        assert not run.is_done


async def test_lost_batch_is_found_by_a_later_process(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(running, "LOOKS", ())
    emulator.add_fault(fault="drop_after_accept", match=CREATION)
    async with opened(make_settings(**PAYING)) as app:
        run = await a_run(app, work, "a fox")
        await run.run()
        assert statuses(run) == ["unconfirmed"]
    async with opened(make_settings(**PAYING)) as app:
        again = await a_run(app, work, "a fox")
        await again.run()
    assert statuses(again) == ["succeeded"]
    assert len(creations(emulator)) == paid(emulator) == 1


async def test_batch_is_found_behind_many_others_whose_pictures_are_in_the_list(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    async with opened(make_settings(**PAYING)) as app:
        run = await a_run(app, work, *(f"fox {number}" for number in range(20)))
        await run.run()
        first = run.standings[0].report
        assert first is not None
        job = await app.generator.ledger.get(first.job_id or "")
        endpoint = await app.generator.runner.scheduler.late.evidence.endpoints.for_job(job)
        # Each picture is there twice, which is more than an answer to anything else may hold.
        listed = await endpoint.list_batches()
    assert len(listed) == 20
    assert listed[f"mediagen-{first.job_id}-0"] == job.calls[0].operation


async def test_one_list_serves_all_that_were_lost_at_once(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(running, "LOOKS", ())
    emulator.add_fault(fault="drop_after_accept", times=4, match=CREATION)
    async with opened(make_settings(**PAYING)) as app:
        run = await a_run(app, work, *(f"fox {number}" for number in range(4)))
        await run.run()
        assert statuses(run) == ["unconfirmed"] * 4
        before = len(emulator.requests())
        await app.generator.runner.resume()
        lists = [r for r in emulator.requests()[before:] if r["path"] == "/v1beta/batches"]
        again = await a_run(app, work, *(f"fox {number}" for number in range(4)))
        await again.run()
    assert statuses(again) == ["succeeded"] * 4
    assert len(lists) == 1
    assert paid(emulator) == 4


async def test_so_many_are_open_at_once_and_no_more(
    make_settings: MakeSettings, work: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pace, "WAIT_FOR_ROOM", timedelta(seconds=0.3))
    with running_emulator(EmulatorSettings(batch_seconds=0.1, open_batches=3)) as narrow:
        async with opened(make_settings(GOOGLE_GEMINI_BASE_URL=narrow.url, **PAYING)) as app:
            wide = await a_run(app, work, *(f"fox {number}" for number in range(7)))
            await wide.run()
        # Those that were one too many were not taken, and are sent again when there is room.
        assert statuses(wide) == ["succeeded"] * 7
        assert paid(narrow) == 7


async def test_batches_and_calls_that_are_answered_at_once_are_paced_apart(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    async with opened(make_settings(**PAYING)) as app:
        began = now()
        run = await a_run(app, work, "a fox", "a hat")
        await run.run()
        line = run.items[0].line
        assert line.is_economy
        batches = await app.generator.ledger.traffic(line, began)
        calls = await app.generator.ledger.traffic(replace(line, is_economy=False), began)
    assert (len(batches.taken), len(calls.taken)) == (2, 0)


async def test_request_too_large_for_a_batch_is_refused(
    make_settings: MakeSettings, emulator: EmulatorHandle, work: Path
):
    async with opened(make_settings(**PAYING)) as app:
        planner = app.generator.planner
        terms = replace(planner.prices.table.batch, inline_bytes=100_000)
        prices = replace(planner.prices, table=replace(planner.prices.table, batch=terms))
        generator = replace(app.generator, planner=replace(planner, prices=prices))
        (work / "rows.jsonl").write_text('{"prompt": "x", "input_images": ["cat.png"]}\n', encoding="utf-8")
        with pytest.raises(InvalidRequestError) as refused:
            await priced(generator, economical(read_rows(work / "rows.jsonl")), work)
    assert "a batch at most 0 MB" in refused.value.message
    assert emulator.requests() == []


async def test_caps_are_held_against_the_halved_sum(make_settings: MakeSettings, emulator: EmulatorHandle, work: Path):
    async with opened(make_settings(**PAYING, MEDIAGEN_MAX_USD_PER_DAY="0.12")) as app:
        fits = await a_run(app, work, *(f"fox {number}" for number in range(7)))
        await check_total(app.generator, fits.items, Decimal("0.12"))
        above = await a_run(app, work, *(f"fox {number}" for number in range(8)))
        with pytest.raises(BudgetExceededError) as refused:
            await check_total(app.generator, above.items, None)
    assert "$0.1344" in refused.value.message
    assert "The first 7 of its 8 rows would fit" in refused.value.hint
    assert emulator.requests() == []


@pytest.mark.parametrize(
    ("table", "environment_changes", "said"),
    [
        ("prompt,type\na fox,image\na hat,video\n", {}, "row 3: economy is not possible for clips"),
        ("prompt,model\na fox,gemini-9-image\n", {}, "economy is not possible with gemini-9-image"),
        (
            "prompt\na fox\n",
            {"MEDIAGEN_BACKEND": "vertex", "VERTEX_AI_API_KEY": "AQ.express"},
            "economy is not possible on vertex",
        ),
    ],
)
async def test_what_has_no_batches_is_refused_by_name(
    make_settings: MakeSettings,
    emulator: EmulatorHandle,
    work: Path,
    table: str,
    environment_changes: dict[str, str],
    said: str,
):
    (work / "rows.csv").write_text(table, encoding="utf-8")
    async with opened(make_settings(**{**PAYING, **environment_changes})) as app:
        with pytest.raises(InvalidRequestError) as refused:
            await priced(app.generator, economical(read_rows(work / "rows.csv")), work)
    assert said in refused.value.message
    assert "full price" in refused.value.message
    assert emulator.requests() == []


async def test_running_batch_can_be_cancelled(make_settings: MakeSettings, work: Path):
    with running_emulator(EmulatorSettings(batch_seconds=1000.0)) as slow:
        async with opened(make_settings(GOOGLE_GEMINI_BASE_URL=slow.url, **PAYING)) as app:
            request = rows_of(work, "a fox")[0].request
            begun = await app.generator.generate_image(request.model_copy(update={"wait_seconds": 0.0}))  # type: ignore[arg-type]  # a row of pictures
            assert begun.job_id is not None
            with anyio.fail_after(60):
                while not (await app.generator.ledger.get(begun.job_id)).calls[0].operation:
                    await anyio.sleep(0.02)
            ended = await app.generator.cancel_job(CancelJobRequest(job_id=begun.job_id))
            posts = [request["path"] for request in slow.requests() if request["method"] == "POST"]
    assert ended.status == "cancelled"
    assert [path.rpartition(":")[2] for path in posts] == ["batchGenerateContent", "cancel"]
