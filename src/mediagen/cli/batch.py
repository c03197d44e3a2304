"""`mediagen batch FILE`: many pictures and clips, priced as a whole and made side by side."""

import argparse
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from mediagen.app.app import App
from mediagen.batch.pace import Pace
from mediagen.batch.prices import Item, check_most, check_total, priced, total_usd
from mediagen.batch.record import BatchRecord, begin, digest_of, find_begun, is_dearer, write
from mediagen.batch.rows import Row, read_rows
from mediagen.batch.running import Run, Standing
from mediagen.cli.console import print_error, print_report
from mediagen.errors import ApprovalNeededError, InvalidRequestError
from mediagen.jobs import Kind
from mediagen.report.batch import BatchReport, BatchRowReport, batch_summary
from mediagen.report.money import dollars

HELP = "make what a file asks for, row by row (costs money)"
DESCRIPTION = (
    "FILE is .txt (a prompt on each line, # begins a comment), .csv (a column for each argument), .jsonl or .json. "
    "The whole price is named, and asked about, before anything is sent. The same command again goes on where a batch "
    "was left; what is made is not made or paid for again."
)
SIDE_BY_SIDE, MOST_SIDE_BY_SIDE = 32, 64
WORDS: dict[Kind, str] = {"image": "picture", "video": "clip"}


def add_batch(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    batch = commands.add_parser("batch", help=HELP, description=DESCRIPTION)
    batch.add_argument("file", metavar="FILE", help="what to make")
    batch.add_argument("--type", choices=("image", "video"), default="image", help="of rows that have no type")
    batch.add_argument(
        "--set",
        dest="common",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an argument for every row that does not have it, for example model=…; repeat for others",
    )
    batch.add_argument("--output-dir", metavar="FOLDER", help="where the folder of the batch is made")
    batch.add_argument(
        "--parallel",
        type=_side_by_side,
        metavar="N",
        help=f"rows under way at a time at most (default {SIDE_BY_SIDE}, with --economy {MOST_SIDE_BY_SIDE})",
    )
    batch.add_argument(
        "--economy",
        action="store_true",
        help="pictures at half the price by Google's Batch API, which may take up to 24 hours (Gemini API only)",
    )
    batch.add_argument("--max-usd", type=_usd, metavar="USD", help="agree to any price up to this")
    batch.add_argument("--yes", action="store_true", help="agree to the price that is named")
    batch.add_argument("--dry-run", action="store_true", help="check every row, name the price and send nothing")
    batch.add_argument("--new", action="store_true", help="begin anew instead of going on with an unfinished batch")
    batch.add_argument("--retry-failed", action="store_true", help="try rows again that failed without being billed")
    batch.add_argument("--json", action="store_true", help="print the structured result")


async def run_batch(app: App, namespace: argparse.Namespace) -> int:
    """Make a batch, or what is left of it; returns the exit code.

    Raises:
        InvalidRequestError: Rows that cannot be made; nothing was sent.
        BudgetExceededError: It is dearer than allowed, or nobody agreed to its price; nothing was sent.
    """
    root = await anyio.to_thread.run_sync(_root, app, namespace)
    rows = await anyio.to_thread.run_sync(_rows, namespace)
    items = await priced(app.generator, rows, root)
    begun = await anyio.to_thread.run_sync(_begun, root, rows, namespace)
    total = total_usd(items)
    is_agreed = begun is not None and not is_dearer(begun[1], total)
    if begun is None:
        await check_total(app.generator, items, namespace.max_usd)
    elif not is_agreed:
        # What is made of it is in what the caps have left already.
        check_most(items, namespace.max_usd)
    print_error(_price_told(items, begun and begun[0]) + _economy_told(app, namespace))
    if namespace.dry_run:
        return 0
    if not is_agreed:
        _agree(items, namespace)
    if begun is None:
        source, now = Path(namespace.file).name, app.generator.clock()
        begun = await anyio.to_thread.run_sync(begin, root, rows, source, now, total)
    elif not is_agreed:
        begun = begun[0], replace(begun[1], agreed_usd=str(total))
        await anyio.to_thread.run_sync(write, *begun)
    return await _made(app, items, begun, namespace)


def _begun(root: Path, rows: Sequence[Row], namespace: argparse.Namespace) -> tuple[Path, BatchRecord] | None:
    """The batch that is gone on with, if there is one.

    Raises:
        InvalidRequestError: It was begun at another price.
    """
    if namespace.new:
        return None
    begun = find_begun(root, digest_of(rows), may_be_done=namespace.retry_failed)
    if begun and begun[1].economy != namespace.economy:
        raise InvalidRequestError(
            f"The batch in {begun[0]} asks for the same, and was begun {_with(begun[1].economy)} --economy.",
            field="economy",
            hint=f"Go on with it {_with(begun[1].economy)} --economy, or begin another with --new, which pays for all "
            "rows anew. Nothing was sent.",
        )
    return begun


def _with(economy: bool) -> str:
    return "with" if economy else "without"


async def _made(app: App, items: Sequence[Item], begun: tuple[Path, BatchRecord], namespace: argparse.Namespace) -> int:
    folder, record = begun
    run = Run(
        generator=app.generator,
        pace=Pace(app.generator.ledger, app.generator.clock),
        batch_id=record.batch_id,
        folder=str(folder),
        items=items,
        most=_side_by_side_of(namespace),
        retries_failed=namespace.retry_failed,
    )
    with _progress(run):
        await run.run()
    await anyio.to_thread.run_sync(write, folder, replace(record, is_done=run.is_done))
    report = _report(run)
    print_report(report, batch_summary(report, _command(namespace)), as_json=namespace.json)
    sys.stdout.flush()
    for standing in run.standings:
        if standing.report:
            await app.deliveries.told(standing.report)
    return 0 if report.count("succeeded") == len(items) else 1


def _root(app: App, namespace: argparse.Namespace) -> Path:
    folder = Path(namespace.output_dir) if namespace.output_dir else app.settings.folder_for_files()
    return folder.expanduser().absolute()


def _rows(namespace: argparse.Namespace) -> list[Row]:
    rows = read_rows(Path(namespace.file).expanduser(), kind=namespace.type, common=_pairs(namespace.common))
    return [replace(row, request=row.request.in_economy()) for row in rows] if namespace.economy else rows


def _agree(items: Sequence[Item], namespace: argparse.Namespace) -> None:
    """Have whoever pays agree to the price.

    Raises:
        ApprovalNeededError: Nobody did.
    """
    total = total_usd(items)
    if namespace.yes or namespace.max_usd is not None or all(item.is_free for item in items):
        return
    if sys.stdin.isatty():
        print("Go ahead? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in {"y", "yes"}:
            return
    raise ApprovalNeededError(
        f"Nobody agreed to the price of {dollars(total)}. Nothing was sent.",
        hint="Answer y, or call again with --yes or --max-usd.",
        usd=total,
        basis=f"{len(items)} rows",
    )


def _price_told(items: Sequence[Item], folder: Path | None) -> str:
    counted = [(sum(item.kind == kind for item in items), word) for kind, word in WORDS.items()]
    kinds = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counted if count]
    unknown = sum(item.quote_usd is None for item in items)
    price = f"about {dollars(total_usd(items))}" if not all(item.is_free for item in items) else "free (emulator)"
    told = f"{' and '.join(kinds)}: {price}."
    told += f" The price of {unknown} is not known: Google may charge any amount." if unknown else ""
    return f"{told} Goes on in {folder}; what is made there is not paid for again." if folder else told


def _economy_told(app: App, namespace: argparse.Namespace) -> str:
    if not namespace.economy:
        return ""
    hours = app.generator.planner.prices.table.batch.hours
    return (
        f" Half the price, by Google's Batch API: may take up to {hours} hours. "
        f"At most {_side_by_side_of(namespace)} batches are open at a time. "
        "When interrupted, call again: the same command goes on."
    )


def _side_by_side_of(namespace: argparse.Namespace) -> int:
    return namespace.parallel or (MOST_SIDE_BY_SIDE if namespace.economy else SIDE_BY_SIDE)


@contextmanager
def _progress(run: Run) -> Iterator[None]:
    """Show how far it is, what was spent and how long it may still take, on standard error."""
    console = Console(stderr=True)
    began = time.monotonic()
    if not console.is_terminal:
        run.on_change = partial(_print_line, began)
        yield
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=len(run.items))

        def show(run: Run) -> None:
            bar.update(task, completed=_over(run), description=_words(run, began))

        run.on_change = show
        show(run)
        yield


def _print_line(began: float, run: Run) -> None:
    print(f"{_over(run)}/{len(run.items)} {_words(run, began)}", file=sys.stderr, flush=True)


def _over(run: Run) -> int:
    return sum(standing.is_over for standing in run.standings)


def _words(run: Run, began: float) -> str:
    over, elapsed = _over(run), time.monotonic() - began
    is_counted = over and over < len(run.items) and not run.is_economy
    left = f", about {elapsed / over * (len(run.items) - over):.0f} s left" if is_counted else ""
    return f"{dollars(run.charged_usd)} spent of about {dollars(total_usd(run.items))}{left}"


def _report(run: Run) -> BatchReport:
    return BatchReport(
        batch_id=run.batch_id,
        folder=run.folder,
        rows=[_row(standing) for standing in run.standings],
        quote_usd=total_usd(run.items),
        charged_usd=run.charged_usd,
        done=run.is_done,
        stopped=run.stopped,
    )


def _row(standing: Standing) -> BatchRowReport:
    report, row = standing.report, standing.item.row
    common: dict[str, Any] = {"number": row.number, "line": row.line}
    if report is None:
        status = "waiting" if standing.error is None else "failed"
        return BatchRowReport(
            **common, job_id=None, status=status, paths=[], charge_usd=None, possibly_billed=False, error=standing.error
        )
    return BatchRowReport(
        **common,
        job_id=report.job_id,
        status=report.status,
        paths=[artifact.path for artifact in report.artifacts if artifact.path],
        charge_usd=report.charge.usd,
        possibly_billed=standing.is_over and report.charge.billed == "unknown",
        error=" ".join(f"{report.error.message} {report.error.hint}".split()) if report.error else None,
    )


def _command(namespace: argparse.Namespace) -> str:
    words = ["mediagen", "batch", namespace.file]
    words += ["--type", namespace.type] if namespace.type != "image" else []
    words += [word for pair in namespace.common for word in ("--set", pair)]
    words += ["--output-dir", namespace.output_dir] if namespace.output_dir else []
    words += ["--economy"] if namespace.economy else []
    return shlex.join(words)


def _pairs(common: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in common:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise InvalidRequestError(f"--set {pair!r} is no NAME=VALUE.", field="set", hint="For example model=….")
        found[name.strip().replace("-", "_")] = value
    return found


def _side_by_side(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_SIDE_BY_SIDE):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {MOST_SIDE_BY_SIDE}")
    return int(text)


def _usd(text: str) -> Decimal:
    try:
        usd = Decimal(text)
    except InvalidOperation:
        usd = Decimal(-1)
    if not usd.is_finite() or usd < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount in US dollars")
    return usd
