"""Spending is the sums of the caps, taken apart."""

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.ledger_values import MIDNIGHT, NOON, a_job, sqlite_only
from tests.ledger.test_ledger_caps import charge, failure

from mediagen.jobs import JobStatus
from mediagen.ledger.caps import usd
from mediagen.ledger.ledger import Ledger
from mediagen.ledger.spending import Span, Spending, SpendKey

PARTS = ("charged", "billed_at_quote", "reserved", "possibly_billed")


def parts(group: Spending) -> dict[str, int]:
    return {part: getattr(group, part) for part in PARTS if getattr(group, part)}


async def ended(ledger: Ledger, status: JobStatus, *, job: dict[str, Any] | None = None, **changes: Any) -> None:
    made = await ledger.create(a_job(**(job or {})))
    await ledger.update_call(made.job_id, 0, expected=JobStatus.SUBMITTING, status=status, **changes)


@pytest.mark.parametrize(
    ("status", "changes", "expected"),
    [
        (JobStatus.RUNNING, {}, {"reserved": 500_000}),
        (JobStatus.DOWNLOADING, {}, {"reserved": 500_000}),
        (JobStatus.DOWNLOADING, {"charge": charge("0.4")}, {"charged": 400_000}),
        (JobStatus.UNCONFIRMED, {"error": failure("unknown")}, {"possibly_billed": 500_000}),
        (JobStatus.SUCCEEDED, {}, {"possibly_billed": 500_000}),
        (JobStatus.SUCCEEDED, {"charge": charge("0.123456")}, {"charged": 123_456}),
        (JobStatus.SUCCEEDED, {"charge": charge(None)}, {"billed_at_quote": 500_000}),
        (JobStatus.FAILED, {"error": failure("no")}, {}),
        (JobStatus.FAILED, {"charge": charge(None, "no"), "error": failure("yes")}, {}),
        (JobStatus.FAILED, {"error": failure("unknown")}, {"possibly_billed": 500_000}),
        (JobStatus.FILTERED, {"error": failure("yes")}, {"billed_at_quote": 500_000}),
        (JobStatus.FILTERED, {"error": failure("no"), "charge": charge("0.01")}, {"charged": 10_000}),
        (JobStatus.CANCELLED, {}, {"possibly_billed": 500_000}),
        (JobStatus.EXPIRED, {"error": failure("yes")}, {"billed_at_quote": 500_000}),
    ],
)
async def test_spending_puts_a_call_where_it_belongs_and_counts_as_the_caps_do(
    ledger: Ledger, status: JobStatus, changes: Any, expected: dict[str, int]
) -> None:
    await ended(ledger, status, **changes)
    [group] = await ledger.spending(Span(by="day"))
    assert (group.name, group.jobs, group.unpriced_calls) == ("2026-11-21", 1, 0)
    assert parts(group) == expected
    assert usd(sum(expected.values())) == await ledger.spent(MIDNIGHT)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("day", ["2026-10-31", "2026-11-20", "2026-11-21"]),
        ("month", ["2026-10", "2026-11"]),
        ("model", ["omni", "veo"]),
        ("profile", [None, "film"]),
        ("status", ["submitting", "succeeded"]),
    ],
)
async def test_spending_by_each_key_adds_up_to_the_same(ledger: Ledger, by: SpendKey, names: list[str | None]) -> None:
    await ended(ledger, JobStatus.SUCCEEDED, job={"model": "veo", "profile": "film"}, charge=charge("0.3"))
    await ledger.create(a_job(model="omni", created_at=MIDNIGHT - timedelta(microseconds=1), calls=3))
    await ledger.create(a_job(model="omni", created_at=MIDNIGHT.replace(month=10, day=31)))
    groups = await ledger.spending(Span(by=by))
    assert [group.name for group in groups] == names
    assert sum(group.jobs for group in groups) == 3
    assert sum(group.charged for group in groups) == 300_000
    assert sum(group.reserved for group in groups) == 1_000_000


async def test_span_begins_at_its_first_moment_and_ends_before_its_last(ledger: Ledger) -> None:
    for moment in (MIDNIGHT - timedelta(microseconds=1), MIDNIGHT, NOON):
        await ledger.create(a_job(created_at=moment))
    [group] = await ledger.spending(Span(by="day", since=MIDNIGHT, until=NOON))
    assert group.jobs == 1
    assert await ledger.spending(Span(by="day", since=NOON + timedelta(days=1))) == []


async def test_free_jobs_are_left_out_unless_asked_for_and_cost_nothing(ledger: Ledger) -> None:
    await ledger.create(a_job(backend="emulator", usd="9"))
    await ended(ledger, JobStatus.SUCCEEDED, job={"backend": "local", "endpoint": "local"}, charge=charge("0"))
    assert await ledger.spending(Span(by="model")) == []
    [group] = await ledger.spending(Span(by="model", with_free=True))
    assert (group.jobs, group.free_jobs, parts(group)) == (0, 2, {})


async def test_calls_without_a_known_price_are_counted_and_not_taken_for_free(ledger: Ledger) -> None:
    await ledger.create(a_job(usd=None, calls=2))
    await ended(ledger, JobStatus.FAILED, job={"usd": None}, error=failure("no"))
    await ended(ledger, JobStatus.SUCCEEDED, job={"usd": None}, charge=charge("0.2"))
    [group] = await ledger.spending(Span(by="day"))
    assert (group.jobs, group.unpriced_calls, parts(group)) == (3, 2, {"charged": 200_000})


@sqlite_only
async def test_damaged_row_counts_as_possibly_billed_and_does_not_hide_the_others(ledger: Ledger, path: Path) -> None:
    await ended(ledger, JobStatus.SUCCEEDED, charge=charge("0.2"))
    await ended(ledger, JobStatus.SUCCEEDED, charge=charge("0.1"))
    await ledger.aclose()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE calls SET charge = 'no json' WHERE counted_microusd = 100000")
    connection.commit()
    connection.close()
    [group] = await ledger.spending(Span(by="day"))
    assert parts(group) == {"charged": 200_000, "possibly_billed": 100_000}


@sqlite_only
async def test_spending_reads_only_the_calls_of_the_span(ledger: Ledger, path: Path) -> None:
    from mediagen.ledger import queries

    await ledger.open()
    connection = sqlite3.connect(path)
    values = {"since": "2026", "until": "2027", "with_free": False}
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {queries.spending('day')}", values))
    connection.close()
    assert "SEARCH calls USING INDEX calls_by_time (created_at>? AND created_at<?)" in plan
    assert "SEARCH jobs USING INDEX" in plan
    assert "SCAN calls" not in plan
