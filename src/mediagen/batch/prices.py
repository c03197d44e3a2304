"""What a batch would cost as a whole, and whether that is allowed. Nothing is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mediagen.batch.rows import BatchRequest, Row
from mediagen.errors import BudgetExceededError, InvalidRequestError, MediaGenError
from mediagen.generator.budget import standing
from mediagen.generator.generator import Generator
from mediagen.jobs import Kind
from mediagen.ledger.traffic import Line
from mediagen.report.job import JobReport
from mediagen.report.money import dollars
from mediagen.requests import GenerateImageRequest
from mediagen.storage.names import safe_stem

NAME_CHARACTERS = 40
MOST_PROBLEMS = 20
# Of a dry run: what is above the approval threshold is agreed to for the batch as a whole.
APPROVED = Decimal(100_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A row with its price.

    Attributes:
        name: Of its files, without suffix.
        quote_usd: None when the price is not known.
        line: What Google counts it with.
    """

    row: Row
    name: str
    quote_usd: Decimal | None
    line: Line

    @property
    def kind(self) -> Kind:
        """What it makes."""
        return self.row.kind

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing, whatever its price says."""
        return self.line.backend == "emulator"


async def priced(generator: Generator, rows: Sequence[Row], folder: Path) -> list[Item]:
    """Plan every row.

    Raises:
        InvalidRequestError: Rows that the models cannot make, or that a cap for one job forbids; names their lines.
        ConfigurationError: Credentials are missing.
    """
    items: list[Item] = []
    problems: list[str] = []
    for row in rows:
        try:
            report = await _dry_run(generator, row.request, folder)
        except (InvalidRequestError, BudgetExceededError) as error:
            problems.append(f"row {row.line}: {error.message} {error.hint}".rstrip())
            continue
        items.append(_item(row, report, digits=len(str(len(rows)))))
    if problems:
        more = len(problems) - MOST_PROBLEMS
        told = [*problems[:MOST_PROBLEMS], *([f"… and {more} more."] if more > 0 else [])]
        raise InvalidRequestError(
            f"{len(problems)} of the {len(rows)} rows cannot be made:\n" + "\n".join(told),
            field="file",
            hint="Nothing was sent. Correct them and call again.",
        )
    return items


def total_usd(items: Sequence[Item]) -> Decimal:
    """What all cost together, as far as prices are known."""
    return sum((item.quote_usd for item in items if item.quote_usd is not None and not item.is_free), Decimal(0))


async def check_total(generator: Generator, items: Sequence[Item], max_usd: Decimal | None) -> None:
    """Refuse a batch that a limit does not allow as a whole.

    Raises:
        BudgetExceededError: Names the limit and how many rows would fit; nothing was sent.
    """
    check_most(items, max_usd)
    policy = generator.policy
    for cap in await standing(policy.projects.all_limits(), generator.ledger, generator.clock()):
        counted = [item for item in items if cap.profile in {None, item.line.profile}]
        _check(f"what is left of {cap.name}", cap.left_usd, counted)


def check_most(items: Sequence[Item], max_usd: Decimal | None) -> None:
    """Refuse a batch that costs more than somebody agrees to.

    Raises:
        BudgetExceededError: Names how many rows would fit; nothing was sent.
    """
    if max_usd is not None:
        _check("--max-usd", max_usd, items)


def _check(name: str, left: Decimal, items: Sequence[Item]) -> None:
    total = total_usd(items)
    if total <= left:
        return
    fits = next(number for number in range(len(items), -1, -1) if total_usd(items[:number]) <= left)
    raise BudgetExceededError(
        f"The batch is quoted at {dollars(total)}, above {name}: {dollars(left)}. Nothing was sent.",
        hint=f"The first {fits} of its {len(items)} rows would fit; or use a cheaper model or smaller sizes.",
    )


async def _dry_run(generator: Generator, request: BatchRequest, folder: Path) -> JobReport:
    asked = request.model_copy(update={"dry_run": True, "max_usd": APPROVED, "output_dir": str(folder)})
    return await make(generator, asked)


async def make(generator: Generator, request: BatchRequest) -> JobReport:
    """Have the generator serve a request.

    Raises:
        MediaGenError: Nothing was sent.
    """
    if isinstance(request, GenerateImageRequest):
        return await generator.generate_image(request)
    return await generator.generate_video(request)


def _item(row: Row, report: JobReport, *, digits: int) -> Item:
    wish = row.request.output_name or (row.request.prompt or row.kind)[:NAME_CHARACTERS]
    return Item(
        row=row,
        name=f"{row.number:0{max(3, digits)}d}_{safe_stem('_'.join(wish.split()))}",
        quote_usd=report.quote.usd,
        line=Line(
            backend=report.backend,
            model=report.model,
            profile=_profile_of(report),
            is_economy=row.request.is_economy,
        ),
    )


def _profile_of(report: JobReport) -> str | None:
    profile = report.effective.get("profile")
    return None if profile is None else str(profile)


def why(error: MediaGenError) -> str:
    """An error in one line."""
    return " ".join(f"{error.message} {error.hint}".split())
