"""Real servers, killed at the worst instants: nothing is paid twice, lost or stuck. scripts/chaos does more of it."""

import sys
from pathlib import Path

import pytest
from tests.chaos.__main__ import table
from tests.chaos.blows import STANDSTILLS, TAKEN_OVER
from tests.chaos.options import Options
from tests.chaos.run import run

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at other processes in /proc")


def test_jobs_of_killed_servers_are_neither_paid_twice_nor_lost_nor_stuck(ffmpeg, tmp_path: Path):
    options = Options(seed=20261121, folder=tmp_path, jobs=14, blows=8, servers=2, clients=4, seconds=120, chains=False)
    outcome = run(options)
    assert not outcome.verdict.violations, table(outcome)
    assert outcome.verdict.figures["billed"] > 0
    assert outcome.verdict.figures["files"] > 0
    # Others drive the jobs of a process whose lease runs out; then it comes back.
    stops = sum(outcome.hits.get((instant, "stop"), 0) for instant in STANDSTILLS)
    assert outcome.counts[TAKEN_OVER] > 0 or not stops, table(outcome)
