"""Shows where the money went, or writes it as a table."""

import argparse
from pathlib import Path

import anyio.to_thread

from mediagen.app.app import App
from mediagen.cli.console import print_error, print_report
from mediagen.cli.parser import request_values
from mediagen.errors import InvalidRequestError
from mediagen.report.spending import spend_csv, spend_summary
from mediagen.requests import GetSpendRequest

STANDARD_OUTPUT = "-"


async def show_spending(app: App, namespace: argparse.Namespace) -> int:
    """Print or write what was spent; returns the exit code.

    Raises:
        InvalidRequestError: A date that is none, or a file that is there already or cannot be written.
    """
    if namespace.csv and namespace.json:
        raise InvalidRequestError("--csv and --json cannot be given together.", field="csv")
    report = await app.spending.get_spend(GetSpendRequest.model_validate(request_values(namespace, GetSpendRequest)))
    if not namespace.csv:
        print_report(report, spend_summary(report), as_json=namespace.json)
    elif namespace.csv == STANDARD_OUTPUT:
        print_report(report, spend_csv(report).rstrip("\n"), as_json=False)
    else:
        await anyio.to_thread.run_sync(_write_new, Path(namespace.csv), spend_csv(report))
        rows = len(report.rows)
        print_error(f"{rows} row{'' if rows == 1 else 's'} in {namespace.csv}")
    return 0


def _write_new(path: Path, text: str) -> None:
    is_ours = False
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            is_ours = True
            file.write(text)
    except (OSError, ValueError) as error:
        # Half a table must not pass for a whole one.
        if is_ours:
            path.unlink(missing_ok=True)
        there = isinstance(error, FileExistsError)
        raise InvalidRequestError(
            f"{path} is there already." if there else f"{path} cannot be written: {_reason(error)}.",
            field="csv",
            hint="Name another file; nothing is overwritten." if there else "Name another file.",
        ) from error


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or "it is no usable path"
