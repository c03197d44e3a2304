"""Spans of spending: which moments a day, a month or a time stands for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mediagen.generator.spending import Spending
from mediagen.ledger.ledger import Ledger
from mediagen.report.spending import SpendReport, SpendRow, spend_csv
from mediagen.requests import GetSpendRequest

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "since", "until"),
    [
        ({}, "2026-11-01T00:00Z", None),
        ({"by": "month"}, None, None),
        ({"since": "2026-11-21"}, "2026-11-21T00:00Z", None),
        ({"since": "2026-10", "until": "2026-10"}, "2026-10-01T00:00Z", "2026-11-01T00:00Z"),
        ({"since": "2026-02-01", "until": "2026-02"}, "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        ({"since": "2026-12", "until": "2026-12-31"}, "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        ({"until": "2026-11-20"}, "2026-11-01T00:00Z", "2026-11-21T00:00Z"),
        ({"until": "2026-10-31"}, None, "2026-11-01T00:00Z"),
        ({"since": "2026-11-21T01:00+02:00"}, "2026-11-20T23:00Z", None),
        ({"since": "2026-11-21T01:00"}, "2026-11-21T01:00Z", None),
    ],
)
async def test_span_is_that_of_utc(tmp_path: Path, asked: dict[str, Any], since: str | None, until: str | None):
    ledger = Ledger(tmp_path / "ledger.sqlite3", lambda: NOW)
    report = await Spending(ledger=ledger, clock=lambda: NOW).get_spend(GetSpendRequest.model_validate(asked))
    await ledger.aclose()
    assert (report.since, report.until) == (since, until)
    assert report.rows == []


def test_table_holds_no_formula_for_a_spreadsheet():
    amounts: dict[str, Any] = {name: 0 for name in SpendRow.model_fields if name != "name"}
    rows = [SpendRow(name=name, **amounts) for name in ('=HYPERLINK("http://x")', "@a", "film, 2", None)]
    report = SpendReport(by="profile", since=None, until=None, rows=rows, total=rows[0], counted_by_caps_usd=0)
    lines = spend_csv(report).splitlines()
    assert [line.split(",0,")[0] for line in lines[1:]] == [
        '"\'=HYPERLINK(""http://x"")"',
        "'@a",
        '"film, 2"',
        "",
    ]
