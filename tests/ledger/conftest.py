"""A ledger in an empty folder or schema, and processes that work on the same one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from tests.ledger.ledger_processes import StartWorker, Worker
from tests.ledger.ledger_values import noon, text_of
from tests.postgresql import Server

from mediagen.ledger.engines.base import Address
from mediagen.ledger.ledger import Ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(engine: str, tmp_path: Path) -> Path:
    """File of the ledger."""
    assert engine == "sqlite", "a test that looks into the file is marked with sqlite_only"
    return tmp_path / "state 🦊" / "ledger.sqlite3"


@pytest.fixture
def address(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Schema of the ledger."""
    assert engine == "postgresql"
    server = cast("Server", request.getfixturevalue("postgresql"))
    return Address(url=server.new_schema(), state_folder=tmp_path / "state 🦊")


@pytest.fixture
def place(engine: str, request: pytest.FixtureRequest) -> Path | Address:
    """Where the ledger is."""
    return cast("Path | Address", request.getfixturevalue("path" if engine == "sqlite" else "address"))


@pytest.fixture
def raw(address: Address) -> Iterator[psycopg.Connection[Any]]:
    """Another connection to the same schema."""
    with psycopg.connect(address.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def ledger(place: Path | Address) -> AsyncIterator[Ledger]:
    ledger = Ledger(place, noon)
    yield ledger
    await ledger.aclose()


@pytest.fixture
def worker(place: Path | Address) -> Iterator[StartWorker]:
    workers: list[Worker] = []

    def start(verb: str, *arguments: str) -> Worker:
        workers.append(Worker(verb, text_of(place), *arguments))
        return workers[-1]

    yield start
    for started in workers:
        if started.process.poll() is None:
            started.kill()
        started.close()
