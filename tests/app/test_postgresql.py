"""The whole program on PostgreSQL."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from tests.conftest import of_child
from tests.postgresql import Server
from tests.runner.asking import clip, image

from mediagen.app.app import open_app
from mediagen.emulator.thread import EmulatorHandle
from mediagen.errors import BudgetExceededError, ConfigurationError
from mediagen.ledger.spending import BEGINNING
from mediagen.requests import GetJobRequest
from mediagen.settings import Settings

MakeSettings = Callable[..., Settings]


async def test_job_of_one_server_is_known_to_another(
    make_settings: MakeSettings, postgresql: Server, tmp_path: Path
) -> None:
    url = postgresql.new_schema()
    settings = make_settings(MEDIAGEN_DATABASE_URL=url)
    async with open_app(settings) as one, open_app(settings) as two:
        picture, film = await image(one), await clip(one, duration_seconds=4, resolution="720p")
        for report in (picture, film):
            assert (await two.generator.get_job(GetJobRequest(job_id=report.job_id))).status == "succeeded"
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM jobs WHERE status = 'succeeded'").fetchone() == (2,)


async def test_cap_holds_over_two_servers(
    make_settings: MakeSettings, postgresql: Server, emulator: EmulatorHandle
) -> None:
    settings = make_settings(
        MEDIAGEN_DATABASE_URL=postgresql.new_schema(),
        MEDIAGEN_BACKEND="gemini",
        GEMINI_API_KEY="mine",
        MEDIAGEN_MAX_USD_PER_DAY="0.10",
    )
    async with open_app(settings) as one, open_app(settings) as two:
        made = 0
        with contextlib.suppress(BudgetExceededError):
            while made < 20:
                await image((one, two)[made % 2], force_new=True)
                made += 1
        assert 1 < made < 20
        assert await two.generator.ledger.spent(BEGINNING) <= Decimal("0.10")


def test_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, make_settings: MakeSettings) -> None:
    from mediagen.ledger.engines import database_at
    from mediagen.ledger.engines.base import Address

    for module in [name for name in sys.modules if name.startswith("mediagen.ledger.engines.")]:
        if module.rpartition(".")[2] not in {"base", "sqlite"}:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"mediagen-mcp\[postgres\]") as refused:
        database_at(Address(url="postgresql://h/d", state_folder=Path("state")))
    assert refused.value.code == "extra_missing"


def test_program_without_a_database_loads_no_driver() -> None:
    code = "import sys, mediagen.app.app; print({'psycopg', 'psycopg_pool', 'procrastinate'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_database_that_is_not_there_is_told_in_one_line(environment: dict[str, str], work: Path) -> None:
    env = of_child({**environment, "MEDIAGEN_DATABASE_URL": "postgresql://me:SECRET@127.0.0.1:1/x"})
    done = subprocess.run(
        [sys.executable, "-m", "mediagen.cli", "jobs", "list"],
        env=env,
        cwd=work,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    [line] = done.stderr.strip().splitlines()
    assert "cannot be reached" in line
    assert "?." not in line
    assert "MEDIAGEN_DATABASE_URL" in line
    assert "SECRET" not in line
