"""What is told about a batch."""

from pydantic import Field

from mediagen.report.job import Report, Usd


class BatchRowReport(Report):
    """One row of a batch."""

    number: int = Field(description="From 1 on, as the files are numbered.")
    line: int = Field(description="Where it stands in the file.")
    job_id: str | None = Field(description="Null while nothing was begun for it.")
    status: str = Field(description="A job state, or waiting.")
    paths: list[str]
    charge_usd: Usd | None
    possibly_billed: bool = Field(description="Whether nobody knows if it was billed.")
    error: str | None


class BatchReport(Report):
    """How a batch stands."""

    batch_id: str
    folder: str
    rows: list[BatchRowReport]
    quote_usd: Usd = Field(description="Of all rows, as far as their prices are known.")
    charged_usd: Usd
    done: bool = Field(description="Whether nothing of it is left to be made.")
    stopped: str | None = Field(description="Why no further row was begun.")

    def count(self, *statuses: str) -> int:
        """How many rows are in one of these states."""
        return sum(row.status in statuses for row in self.rows)


def batch_summary(report: BatchReport, command: str) -> str:
    """Say it in words.

    Args:
        report: To be told.
        command: Goes on with what is left.
    """
    made, filtered, total = report.count("succeeded"), report.count("filtered"), len(report.rows)
    unknown = sum(row.possibly_billed for row in report.rows)
    waiting = report.count("waiting", "submitting", "running", "downloading")
    lines = [f"{made} of {total} made, ${report.charged_usd} charged (quoted ${report.quote_usd}): {report.folder}"]
    lines += [f"row {row.line}: {row.status}: {row.error}" for row in report.rows if row.error]
    lines += [f"{filtered} stopped by the safety filter: change their prompts."] if filtered else []
    lines += [f"{unknown} may be billed although there is no file; see `mediagen jobs list`."] if unknown else []
    lines += [f"Stopped: {report.stopped}"] if report.stopped else []
    lines += [f"{waiting} are left; go on with: {command}"] if waiting else []
    return "\n".join(lines)
