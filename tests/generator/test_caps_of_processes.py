"""Several real servers spend at once, and no cap is exceeded by a cent."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
from tests.conftest import paid
from tests.generator.planning import write_config

PROFILES = """
[profiles.film]
max_usd_per_day = 0.37
[profiles.sketch]
"""
PROCESSES, REQUESTS = 4, 50


def program() -> None:
    """One server: so many pictures asked for at once by a profile each; prints what became of them."""
    profiles = sys.argv[1].split(",")
    from mediagen.app.app import open_app
    from mediagen.errors import BudgetExceededError
    from mediagen.requests import GenerateImageRequest
    from mediagen.settings import read_settings

    async def ask(app: Any, profile: str, found: list[str]) -> None:
        asked = {"prompt": "a boat", "image_size": "1K", "wait_seconds": 60, "force_new": True}
        request = GenerateImageRequest.model_validate({**asked, "profile": profile})
        try:
            found.append(str((await app.generator.generate_image(request)).status))
        except BudgetExceededError as error:
            found.append(f"refused: {error.message}")

    async def main() -> None:
        found: list[str] = []
        async with open_app(read_settings(os.environ)) as app:
            print("ready", flush=True)
            sys.stdin.readline()
            async with anyio.create_task_group() as group:
                for profile in profiles:
                    group.start_soon(ask, app, profile, found)
        print(json.dumps(found), flush=True)

    anyio.run(main)


def test_fifty_requests_of_four_servers_stay_under_both_caps(
    environment: dict[str, str], emulator: Any, work: Path
) -> None:
    write_config(work, PROFILES)
    changes = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key", "MEDIAGEN_MAX_USD_PER_DAY": "0.75"}
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    wishes = [("film", "sketch")[number % 2] for number in range(REQUESTS)]
    command = [sys.executable, "-c", "from tests.generator.test_caps_of_processes import program; program()"]
    servers = [
        subprocess.Popen(
            [*command, ",".join(wishes[number::PROCESSES])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=work,
            env={
                **os.environ,
                **environment,
                **changes,
                "PYTHONPATH": path,
            },
        )
        for number in range(PROCESSES)
    ]
    for one in servers:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
    said = [one.communicate("go\n", timeout=120)[0] for one in servers]
    found = [end for each in said for end in json.loads(each)]
    refused = [end for end in found if end.startswith("refused")]
    assert len(found) == REQUESTS
    assert found.count("succeeded") == REQUESTS - len(refused) == paid(emulator)
    with closing(sqlite3.connect(Path(environment["MEDIAGEN_STATE_DIR"]) / "ledger.sqlite3")) as connection:
        sums = dict(
            connection.execute(
                "SELECT profile, sum(counted_microusd) FROM calls JOIN jobs USING (job_id) GROUP BY profile"
            ).fetchall()
        )
    price = 33_600
    assert 370_000 - price - 1_000 < sums["film"] <= 370_000
    assert sum(sums.values()) <= 750_000
    assert any("max_usd_per_day of profile 'film'" in end for end in refused)
    assert any("MEDIAGEN_MAX_USD_PER_DAY" in end for end in refused)
