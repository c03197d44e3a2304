"""Where the money went, as callers are told."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from pydantic import Field

from mediagen.report.job import Report, Usd
from mediagen.report.money import dollars

# A spreadsheet would take a text that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NO_NAME = "(none)"


class SpendAmounts(Report):
    """Money in US dollars, by how sure it is. The parts are apart for a reason: only `charged_usd` is known."""

    jobs: int = Field(description="Jobs that could cost something, those that failed included.")
    free_jobs: int = Field(description="Jobs of the emulator and edits on this machine; 0 unless with_free.")
    charged_usd: Usd = Field(description="Charged, by Google's usage figures or list prices.")
    billed_at_quote_usd: Usd = Field(
        description="Billed without a known amount, for example a filtered clip: the quote."
    )
    reserved_usd: Usd = Field(description="Quoted for what is still running.")
    possibly_billed_usd: Usd = Field(description="Quoted for calls of which nobody knows whether they were billed.")
    unpriced_calls: int = Field(description="Calls that cost or may cost something at an unknown price: in no sum.")


class SpendRow(SpendAmounts):
    """Money of one day, model and so on."""

    name: str | None = Field(description="Day or month (UTC), model, profile or status; null for no profile.")


class CapReport(Report):
    """A spending cap over time and how it stands."""

    name: str = Field(description="What sets it: a variable, or a key of a profile.")
    profile: str | None = Field(description="Whose jobs alone it counts; null is those of all profiles.")
    since: str = Field(description="First moment of its day or month, in UTC.")
    limit_usd: Usd
    spent_usd: Usd = Field(description="Spent or reserved since then.")
    left_usd: Usd


class SpendReport(Report):
    """Result of get_spend."""

    by: Literal["day", "model", "profile", "status", "month"]
    since: str | None = Field(description="First moment, in UTC; null is the beginning of the ledger.")
    until: str | None = Field(description="First moment after the span, in UTC; null is now.")
    rows: list[SpendRow]
    total: SpendAmounts = Field(description="All rows together, the parts still apart.")
    counted_by_caps_usd: Usd = Field(description="The four parts of `total` together, as the spending caps count them.")
    left_out_free_jobs: int = Field(
        0, description="Where there are no rows: free jobs of the span, which with_free shows."
    )
    caps: list[CapReport] = Field(
        default_factory=list, description="Caps of the present day and month, whatever span is asked for."
    )


def spend_summary(report: SpendReport) -> str:
    """What was spent: the sum first, then line by line."""
    span = f"{report.since or 'the beginning'} to {report.until or 'now'} (UTC)"
    if not report.rows:
        return "\n".join([_nothing(report, span), *caps_in_words(report.caps)])
    lines = [f"From {span}: {_amounts(report.total)}."]
    width = max(len(_name(row)) for row in report.rows)
    lines += [f"  {_name(row):{width}}  {_amounts(row)}" for row in report.rows]
    if report.counted_by_caps_usd != report.total.charged_usd:
        lines.append(f"Against the spending caps all of it counts: {dollars(report.counted_by_caps_usd)}.")
    return "\n".join([*lines, *caps_in_words(report.caps)])


def _nothing(report: SpendReport, span: str) -> str:
    free = report.left_out_free_jobs
    if not free:
        return f"No jobs from {span}."
    jobs = "1 free job" if free == 1 else f"{free} free jobs"
    return f"Nothing spent from {span}: only {jobs} (emulator, or edits on this machine); with_free shows them."


def caps_in_words(caps: Sequence[CapReport]) -> list[str]:
    """How each cap stands, a line for each."""
    return [
        f"Cap {' '.join(cap.name.split())}: {dollars(cap.left_usd)} left of {dollars(cap.limit_usd)} "
        f"({dollars(cap.spent_usd)} spent or reserved)."
        for cap in caps
    ]


def spend_csv(report: SpendReport) -> str:
    """The rows as a table with a heading, for spreadsheets; amounts are exact."""
    text = io.StringIO()
    columns = list(SpendAmounts.model_fields)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([report.by, *columns])
    for row in report.rows:
        name = row.name or ""
        values = (getattr(row, column) for column in columns)
        cells = [f"{value:f}" if isinstance(value, Decimal) else value for value in values]
        writer.writerow([f"'{name}" if name.startswith(FORMULA) else name, *cells])
    return text.getvalue()


def _name(row: SpendRow) -> str:
    return " ".join((row.name or NO_NAME).split())


def _amounts(row: SpendAmounts) -> str:
    words = [f"{dollars(row.charged_usd)} charged"]
    words += [f"{dollars(row.billed_at_quote_usd)} billed by the quote"] if row.billed_at_quote_usd else []
    words += [f"{dollars(row.reserved_usd)} reserved"] if row.reserved_usd else []
    words += [f"{dollars(row.possibly_billed_usd)} possibly billed"] if row.possibly_billed_usd else []
    words += [f"{row.unpriced_calls} calls at an unknown price"] if row.unpriced_calls else []
    words += [f"{row.jobs} job{'' if row.jobs == 1 else 's'}"]
    words += [f"{row.free_jobs} free"] if row.free_jobs else []
    return ", ".join(words)
