"""Starts the program as a run needs it: python -m tests.chaos.launch LEASE SWEEP PAUSE MUTATION|- ARGUMENTS.

Nothing of this is known to the program. Leases run out within seconds, so that a process that stands still loses its
jobs while a run lasts; and where a blow hurts most the program lingers, so that the harness can see the instant before
it is over.
"""

import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import anyio
from tests.chaos.mutated import MUTATIONS, replace_method

from mediagen.cli import main
from mediagen.ledger import liveness
from mediagen.ledger.ledger import Ledger
from mediagen.runner import distributed, embedded
from mediagen.runner.collect import Collector
from mediagen.runner.placing import Placer
from mediagen.runner.steps import CallSteps
from mediagen.storage import records

# Before a request may leave, before it is handed over, before what came of it is written down, between two files,
# before files get into the ledger, before the record of a failure.
LINGERING: tuple[tuple[Any, str], ...] = (
    (CallSteps, "with_ticket"),
    (CallSteps, "send"),
    (CallSteps, "keep"),
    (Placer, "place"),
    (Ledger, "store_artifacts"),
    (Ledger, "store_artifacts_here"),
    (Collector, "write_failure"),
)


def shorten(lease_seconds: float, sweep_seconds: float) -> None:
    """Let leases run out, and open jobs be looked for, sooner than in earnest."""
    for module, name, value in (
        (liveness, "LEASE_SECONDS", lease_seconds),
        (embedded, "SWEEP_SECONDS", sweep_seconds),
        (distributed, "SWEEP_SECONDS", sweep_seconds),
        (distributed, "HOUSEKEEPING_SECONDS", sweep_seconds),
        (distributed, "OVERDUE", timedelta(seconds=sweep_seconds)),
    ):
        if name not in vars(module):
            sys.exit(f"{module.__name__}.{name} is gone: the harness has to be fitted to the program")
        setattr(module, name, value)


def linger(seconds: float) -> None:
    """Pause for about so long at each instant; longer between two files, of which there are fewest."""
    for owner, name in LINGERING:
        longer = 3 if name == "place" else 1
        replace_method(owner, name, _later(getattr(owner, name), longer * seconds))
    storage: Any = records
    place_record = storage.place_record

    def place_later(*arguments: Any) -> Any:
        time.sleep(random.uniform(seconds / 2, seconds))
        return place_record(*arguments)

    storage.place_record = place_later


def _later(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    @wraps(function)
    def lingering_here(*arguments: Any, **options: Any) -> Any:
        time.sleep(random.uniform(seconds / 2, seconds))
        return function(*arguments, **options)

    @wraps(function)
    async def lingering(*arguments: Any, **options: Any) -> Any:
        await anyio.sleep(random.uniform(seconds / 2, seconds))
        return await function(*arguments, **options)

    return lingering if iscoroutinefunction(function) else lingering_here


if __name__ == "__main__":
    lease, sweep, pause, mutation = sys.argv[1:5]
    del sys.argv[1:5]
    shorten(float(lease), float(sweep))
    linger(float(pause))
    if mutation != "-":
        MUTATIONS[mutation]()
    main()
