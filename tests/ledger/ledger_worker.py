"""A process that works on a ledger as a server does; run by the tests with a verb, the file and arguments.

It prints what happened, one line of JSON each, and begins only when a line arrives on its standard input.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Any

import anyio
from tests.ledger.ledger_values import MIDNIGHT, a_job, noon, place_of

from mediagen.errors import BudgetExceededError, LedgerError
from mediagen.jobs import JobStatus
from mediagen.ledger.caps import Cap
from mediagen.ledger.engines.base import Access
from mediagen.ledger.ledger import Ledger


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


def wait_for_line() -> None:
    say("ready")
    sys.stdin.readline()


async def spend(ledger: Ledger, jobs: str, usd: str, limit: str) -> None:
    """Create so many jobs at once under one cap."""
    await ledger.open()
    wait_for_line()
    cap = Cap(name="MEDIAGEN_MAX_USD_PER_DAY", limit_usd=Decimal(limit), since=MIDNIGHT)

    async def one() -> None:
        try:
            await ledger.create(a_job(usd=usd, calls=3), caps=[cap])
        except BudgetExceededError:
            say("refused")
        else:
            say("created")

    async with anyio.create_task_group() as group:
        for _ in range(int(jobs)):
            group.start_soon(one)


async def own(ledger: Ledger) -> None:
    """Create a job and stay alive."""
    say((await ledger.create(a_job())).job_id)
    sys.stdin.readline()


async def claim(ledger: Ledger, job_id: str) -> None:
    """Claim a job, and stay alive until told otherwise."""
    await ledger.open()
    wait_for_line()
    say(await ledger.claim(job_id) is not None)
    sys.stdin.readline()


async def request(ledger: Ledger, request_id: str) -> None:
    """Create a job under a request_id."""
    await ledger.open()
    wait_for_line()
    say((await ledger.create(a_job(request_id=request_id))).job_id)


async def wish(ledger: Ledger, fingerprint: str) -> None:
    """Create a job for a wish."""
    await ledger.open()
    wait_for_line()
    say((await ledger.create(a_job(fingerprint=fingerprint))).job_id)


async def transition(ledger: Ledger, job_id: str) -> None:
    """Take a call from submitting to running."""
    await ledger.open()
    wait_for_line()
    say(
        await ledger.update_call(
            job_id, 0, expected=JobStatus.SUBMITTING, status=JobStatus.RUNNING, operation="operations/1"
        )
    )


async def first_open(ledger: Ledger) -> None:
    """Open a file that nobody has opened yet."""
    wait_for_line()
    await ledger.open()
    say("open")


async def write_without_pause(ledger: Ledger, threads: str, seconds: str) -> None:
    """Write again and again; tell how often, and what was refused."""
    await ledger.open()
    wait_for_line()
    done, refused = [0], set()

    async def write() -> None:
        with anyio.move_on_after(float(seconds)):
            while True:
                try:
                    await ledger.create(a_job(usd="0"))
                except LedgerError as error:
                    refused.add(error.code)
                done[0] += 1

    async with anyio.create_task_group() as group:
        for _ in range(int(threads)):
            group.start_soon(write)
    say({"done": done[0], "refused": sorted(refused)})


async def stay_inside(ledger: Ledger) -> None:
    """Take the place of a process that is stopped in the middle of a write."""
    await ledger.open()
    with ledger._database.transaction(Access.WRITE):
        wait_for_line()


async def recover_and_die(ledger: Ledger, instant: str) -> None:
    """Open a damaged file, and die before so many of the things that change a name or a file on the disk."""
    left = [int(instant)]
    watched = {"os.link", "os.rename", "os.remove", "open"}

    def die(event: str, arguments: tuple[object, ...]) -> None:
        is_change = event in watched and (event != "open" or bool(int(str(arguments[2] or 0)) & os.O_CREAT))
        if is_change and ("ledger.d" in str(arguments) or "ledger.re" in str(arguments)):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    await ledger.open()


async def migrate_and_die(ledger: Ledger, statement: str) -> None:
    """Open an old file, and die before so many statements that change its tables."""
    left = [int(statement)]

    def die(_action: int, *_: object) -> int:
        if _action in {sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX}:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        return sqlite3.SQLITE_OK

    class Watched(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.set_authorizer(die)

    sqlite3.connect = partial(sqlite3.connect, factory=Watched)  # type: ignore[assignment] # this process is lost anyway
    await ledger.open()


VERBS: dict[str, Callable[..., Awaitable[None]]] = {
    verb.__name__: verb
    for verb in (
        spend,
        own,
        claim,
        request,
        wish,
        transition,
        first_open,
        write_without_pause,
        stay_inside,
        recover_and_die,
        migrate_and_die,
    )
}


async def main(verb: str, place: str, *arguments: str) -> None:
    ledger = Ledger(place_of(place), noon)
    try:
        await VERBS[verb](ledger, *arguments)
    finally:
        await ledger.aclose()


if __name__ == "__main__":
    anyio.run(partial(main, *sys.argv[1:]))
