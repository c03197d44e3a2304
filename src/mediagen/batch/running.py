"""Makes the rows of a batch side by side: none twice, and one that fails does not stop the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import anyio

from mediagen.batch.pace import Pace
from mediagen.batch.prices import Item, make, why
from mediagen.batch.rows import BatchRequest
from mediagen.errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    LedgerError,
    MediaGenError,
    StorageError,
)
from mediagen.generator.generator import Generator
from mediagen.jobs import OPEN_STATUSES, JobStatus
from mediagen.report.job import JobReport
from mediagen.requests import GetJobRequest

# Of these nothing was taken by Google: the row is made as soon as the pace lets it.
NOT_TAKEN = frozenset({"rate_limited", "not_sent"})
# Other failures that were not billed and may pass by themselves, and how long to wait before each new try.
PAUSES = (2.0, 10.0, 30.0)
# What meets one row meets all.
COMMON_CODES = frozenset({"authentication", "credentials_refused", "quota_exhausted", "billing_required"})
COMMON_ERRORS = (AuthenticationError, BudgetExceededError, ConfigurationError, LedgerError, StorageError)
FAILURES_IN_A_ROW = 5
# So few are under way while Google's limit is not known that few are refused when it is met.
FIRST_SIDE_BY_SIDE = 6
CALLS_FOR_ONE_MORE = 25
LONGEST_WAIT = 3600.0
# When to look among Google's batches for one whose answer was lost.
LOOKS = (1.0, 65.0)
MOST_ATTEMPTS = 1000


@dataclass(kw_only=True, slots=True)
class Standing:
    """How one row stands.

    Attributes:
        report: Of its job, the latest; None while nothing was begun.
        error: Why nothing was begun.
    """

    item: Item
    report: JobReport | None = None
    error: str | None = None

    @property
    def is_unconfirmed(self) -> bool:
        """Whether nobody knows what became of it: it may turn up."""
        return self.report is not None and self.report.status == JobStatus.UNCONFIRMED

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done about it."""
        return self.error is not None or (self.report is not None and self.report.status not in OPEN_STATUSES)


@dataclass(kw_only=True)
class Run:
    """Makes what is left of a batch.

    Attributes:
        batch_id: Names the wishes of its rows in the ledger.
        folder: Where the files go.
        most: How many rows at most are under way at a time.
        retries_failed: Whether rows that failed without being billed are tried once more.
        on_change: Told of every row that has ended.
        stopped: Why no further row is begun.
    """

    generator: Generator
    pace: Pace
    batch_id: str
    folder: str
    items: Sequence[Item]
    most: int
    retries_failed: bool = False
    on_change: Callable[["Run"], None] | None = None
    stopped: str | None = None
    standings: list[Standing] = field(init=False)
    _under_way: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)
    _changed: anyio.Event = field(default_factory=anyio.Event, init=False)

    def __post_init__(self) -> None:
        self.standings = [Standing(item=item) for item in self.items]

    async def run(self) -> None:
        """Make every row that is not made; returns when none is under way any more."""
        async with anyio.create_task_group() as group:
            for standing in self.standings:
                while self._under_way >= self._room() and not self.stopped:
                    await self._changed.wait()
                if self.stopped:
                    return
                self._under_way += 1
                group.start_soon(self._serve, standing)

    def _room(self) -> int:
        if self.is_economy:
            # They wait at Google, and are not limited by the minute.
            return self.most
        ended = sum(standing.is_over for standing in self.standings)
        return min(self.most, FIRST_SIDE_BY_SIDE + ended // CALLS_FOR_ONE_MORE)

    async def _serve(self, standing: Standing) -> None:
        try:
            await self._make(standing)
        except COMMON_ERRORS as error:
            self.stopped = self.stopped or why(error)
        except MediaGenError as error:
            standing.error = why(error)
            self._count_failure(standing.error)
        finally:
            self._under_way -= 1
            self._tell()

    async def _make(self, standing: Standing) -> None:
        attempt = await self._latest(standing.item)
        if attempt is not None:
            standing.report = await self._ended(await make(self.generator, self._request(standing.item, attempt)))
            if not self._is_tried_again(standing.report):
                return
            self._tell()
        attempt = 0 if attempt is None else attempt + 1
        pauses = iter(PAUSES)
        while not self.stopped:
            standing.report = await self._ended(await self._begun(standing.item, attempt))
            if not _was_not_taken(standing.report):
                pause = next(pauses, None) if _may_pass(standing.report) else None
                if pause is None:
                    self._judge(standing.report)
                    return
                await anyio.sleep(pause)
            attempt += 1

    async def _begun(self, item: Item, attempt: int) -> JobReport:
        async with self.pace.turn(item.line):
            await self.pace.wait(item.line)
            return await make(self.generator, self._request(item, attempt))

    async def _ended(self, report: JobReport) -> JobReport:
        report = await self._waited_for(report)
        looks = iter(LOOKS if report.effective.get("economy") else ())
        while report.status == JobStatus.UNCONFIRMED and (pause := next(looks, None)):
            await anyio.sleep(pause)
            assert report.job_id is not None
            await self.generator.runner.resume(only=report.job_id)
            report = await self._waited_for(await self.generator.get_job(GetJobRequest(job_id=report.job_id)))
        return report

    async def _waited_for(self, report: JobReport) -> JobReport:
        while report.status in OPEN_STATUSES:
            assert report.job_id is not None
            report = await self.generator.get_job(GetJobRequest(job_id=report.job_id, wait_seconds=LONGEST_WAIT))
        return report

    async def _latest(self, item: Item) -> int | None:
        """Number of the latest attempt at a row, from 0 on; None when there is none."""
        found = None
        for attempt in range(MOST_ATTEMPTS):
            if await self.generator.ledger.find_request(self._request_id(item, attempt)) is None:
                break
            found = attempt
        return found

    def _is_tried_again(self, report: JobReport) -> bool:
        if _was_not_taken(report):
            return True
        return self.retries_failed and report.status != "succeeded" and report.charge.billed == "no"

    def _judge(self, report: JobReport) -> None:
        """Learn from how a row ended whether it makes sense to begin others."""
        if report.status == "succeeded":
            self._failures = 0
        elif report.error and report.error.code in COMMON_CODES:
            self.stopped = self.stopped or " ".join(f"{report.error.message} {report.error.hint}".split())
        elif report.error and report.status not in {"filtered", "cancelled"}:
            self._count_failure(report.error.message)

    def _count_failure(self, message: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            self.stopped = self.stopped or f"{self._failures} rows failed one after another, the last with: {message}"

    def _request(self, item: Item, attempt: int) -> BatchRequest:
        return item.row.request.model_copy(
            update={
                "request_id": self._request_id(item, attempt),
                "output_dir": self.folder,
                "output_name": item.name,
                "max_usd": item.quote_usd,
                "preview": False,
                "wait_seconds": 0.0,
            }
        )

    def _request_id(self, item: Item, attempt: int) -> str:
        again = f".{attempt}" if attempt else ""
        return f"batch-{self.batch_id}-{item.row.number}{again}"

    def _tell(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        if self.on_change:
            self.on_change(self)

    @property
    def is_economy(self) -> bool:
        """Whether its rows are batches at Google."""
        return any(item.line.is_economy for item in self.items)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be made, and nothing may turn up."""
        return all(standing.is_over and not standing.is_unconfirmed for standing in self.standings)

    @property
    def charged_usd(self) -> Decimal:
        """What was charged so far."""
        charges = (standing.report.charge.usd for standing in self.standings if standing.report)
        return sum((charge for charge in charges if charge is not None), Decimal(0))


def _was_not_taken(report: JobReport) -> bool:
    return report.error is not None and report.error.code in NOT_TAKEN


def _may_pass(report: JobReport) -> bool:
    return report.error is not None and report.error.retryable and report.error.billed == "no"
