"""A ledger in an empty folder, and processes that work on the same file."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.ledger.ledger_processes import StartWorker, Worker
from tests.ledger.ledger_values import noon

from mediagen.ledger.ledger import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state 🦊" / "ledger.sqlite3"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(path, noon)
    yield ledger
    await ledger.aclose()


@pytest.fixture
def worker(path: Path) -> Iterator[StartWorker]:
    workers: list[Worker] = []

    def start(verb: str, *arguments: str) -> Worker:
        workers.append(Worker(verb, str(path), *arguments))
        return workers[-1]

    yield start
    for started in workers:
        if started.process.poll() is None:
            started.kill()
