"""Caps hold to the micro-dollar, whoever asks at the same time."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.ledger.ledger_processes import StartWorker
from tests.ledger.ledger_values import MIDNIGHT, NOON, a_job, an_artifact

from mediagen.errors import Billed, BudgetExceededError, StorageError
from mediagen.jobs import Charge, JobError, JobStatus
from mediagen.ledger.caps import Cap, usd
from mediagen.ledger.ledger import Ledger


def day(limit: str) -> Cap:
    return Cap(name="MEDIAGEN_MAX_USD_PER_DAY", limit_usd=Decimal(limit), since=MIDNIGHT)


def charge(amount: str | None, billed: Billed = "yes") -> Charge:
    return Charge(
        usd=None if amount is None else Decimal(amount),
        basis="",
        certainty="exact" if amount else "unknown",
        billed=billed,
    )


def failure(billed: Billed) -> JobError:
    return JobError(code="x", message="x", retryable=False, billed=billed)


async def test_create_up_to_the_cap_works_and_above_it_is_refused(ledger: Ledger) -> None:
    await ledger.create(a_job(usd="0.60"), caps=[day("1.00")])
    await ledger.create(a_job(usd="0.40"), caps=[day("1.00")])
    with pytest.raises(BudgetExceededError) as raised:
        await ledger.create(a_job(usd="0.000001", request_id="mine"), caps=[day("1.00")])
    assert raised.value.billed == "no"
    for part in ("MEDIAGEN_MAX_USD_PER_DAY is $1.00", "$1.00 is spent", "$0.00 is left", "asks $0.000001"):
        assert part in str(raised.value)
    assert await ledger.find_request("mine") is None
    assert await ledger.spent(MIDNIGHT) == Decimal("1.00")


async def test_what_is_done_before_a_job_is_kept_is_not_done_for_a_refused_one_and_can_undo_it(ledger: Ledger) -> None:
    done: list[str] = []
    with pytest.raises(BudgetExceededError):
        await ledger.create(a_job(usd="2"), caps=[day("1")], before_kept=lambda: done.append("refused"))
    await ledger.create(a_job(usd="1", request_id="mine"), caps=[day("1")], before_kept=lambda: done.append("kept"))
    await ledger.create(a_job(usd="1", request_id="mine"), before_kept=lambda: done.append("there already"))
    assert done == ["kept"]

    def full() -> None:
        raise StorageError("The disk is full.", billed="no")

    with pytest.raises(StorageError):
        await ledger.create(a_job(request_id="other"), before_kept=full)
    assert await ledger.find_request("other") is None


async def test_cap_finer_than_a_micro_dollar_is_not_rounded_up(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceededError):
        await ledger.create(a_job(usd="0.000001"), caps=[day("0.0000005")])


async def test_shares_of_a_quote_add_up_to_the_quote(ledger: Ledger) -> None:
    for _ in range(2):
        await ledger.create(a_job(usd="0.10", calls=3), caps=[day("0.20")])
    assert await ledger.spent(MIDNIGHT) == Decimal("0.20")


@pytest.mark.parametrize(
    ("status", "changes", "counted"),
    [
        (JobStatus.RUNNING, {}, "0.50"),
        (JobStatus.DOWNLOADING, {}, "0.50"),
        (JobStatus.UNCONFIRMED, {"error": failure("unknown")}, "0.50"),
        (JobStatus.SUCCEEDED, {}, "0.50"),
        (JobStatus.SUCCEEDED, {"charge": charge("0.123456")}, "0.123456"),
        (JobStatus.SUCCEEDED, {"charge": charge("0.9")}, "0.90"),
        (JobStatus.SUCCEEDED, {"charge": charge(None)}, "0.50"),
        (JobStatus.FAILED, {"error": failure("no")}, "0.00"),
        (JobStatus.FAILED, {"error": failure("unknown")}, "0.50"),
        (JobStatus.FILTERED, {"error": failure("yes")}, "0.50"),
        (JobStatus.FILTERED, {"error": failure("no"), "charge": charge("0.01")}, "0.01"),
        (JobStatus.CANCELLED, {}, "0.50"),
        (JobStatus.EXPIRED, {"error": failure("yes")}, "0.50"),
    ],
)
async def test_spent_counts_a_call_by_how_it_stands(
    ledger: Ledger, status: JobStatus, changes: Any, counted: str
) -> None:
    job = await ledger.create(a_job(usd="0.50"))
    await ledger.update_call(job.job_id, 0, expected=JobStatus.SUBMITTING, status=status, **changes)
    assert await ledger.spent(MIDNIGHT) == Decimal(counted)


async def test_spent_takes_the_charge_of_a_stored_file(ledger: Ledger) -> None:
    job = await ledger.create(a_job(usd="0.50", calls=2))
    await ledger.store_artifacts(
        job.job_id, 0, expected=JobStatus.SUBMITTING, artifacts=[an_artifact()], charge=charge("0.07")
    )
    assert await ledger.spent(MIDNIGHT) == Decimal("0.32")


async def test_spent_leaves_out_what_is_older_and_what_is_free(ledger: Ledger) -> None:
    await ledger.create(a_job(created_at=MIDNIGHT - timedelta(microseconds=1)))
    await ledger.create(a_job(backend="emulator", usd="100"), caps=[day("0.10")])
    assert await ledger.spent(MIDNIGHT) == 0
    await ledger.create(a_job(usd="0.10", created_at=MIDNIGHT), caps=[day("0.10")])
    assert await ledger.spent(MIDNIGHT) == Decimal("0.10")
    assert await ledger.spent(NOON - timedelta(days=30)) == Decimal("0.60")


async def test_create_without_a_price_under_a_cap_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceededError) as raised:
        await ledger.create(a_job(usd=None), caps=[day("5")])
    assert raised.value.code == "price_unknown"
    await ledger.create(a_job(usd=None))


async def test_create_of_a_used_request_id_is_not_held_by_the_cap(ledger: Ledger) -> None:
    job = await ledger.create(a_job(usd="1", request_id="mine"), caps=[day("1")])
    assert await ledger.create(a_job(usd="1", request_id="mine"), caps=[day("1")]) == job


async def test_create_refused_by_a_cap_leaves_the_request_id_where_it_was(ledger: Ledger) -> None:
    job = await ledger.create(a_job(usd="1", request_id="mine"))
    with pytest.raises(BudgetExceededError):
        await ledger.create(a_job(usd="1", request_id="mine"), caps=[day("1")], replace_request_id=True)
    assert await ledger.find_request("mine") == job


async def test_cap_is_kept_by_four_processes_that_create_at_once(ledger: Ledger, worker: StartWorker) -> None:
    await ledger.open()
    workers = [worker("spend", "20", "0.10", "2.35") for _ in range(4)]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    said = [word for one in workers for word in one.rest()]
    assert said.count("created") == 23
    assert said.count("refused") == 57
    assert await ledger.spent(MIDNIGHT) == Decimal("2.30")


@pytest.mark.parametrize(("price", "limit", "made"), [("0.37", "5.00", 13), ("0.04", "1.00", 25), ("0.04", "0.99", 24)])
async def test_fifty_requests_of_four_processes_fill_a_cap_and_never_pass_it_by_a_cent(
    price: str, limit: str, made: int, ledger: Ledger, worker: StartWorker
) -> None:
    await ledger.open()
    workers = [worker("spend", jobs, price, limit) for jobs in ("13", "13", "12", "12")]
    assert [one.read() for one in workers] == ["ready"] * 4
    for one in workers:
        one.go()
    said = [word for one in workers for word in one.rest()]
    assert (said.count("created"), said.count("refused")) == (made, 50 - made)
    assert await ledger.spent(MIDNIGHT) == made * Decimal(price)


@pytest.mark.parametrize(
    ("microusd", "text"),
    [(0, "0.00"), (500_000, "0.50"), (1, "0.000001"), (100_000_000, "100.00"), (123_400, "0.1234")],
)
def test_usd_shows_cents_or_what_is_needed(microusd: int, text: str) -> None:
    assert str(f"{usd(microusd):f}") == text
