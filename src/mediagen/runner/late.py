"""What turns up of calls that were given up: an answer that a submitter stored later, a clip in its bucket."""

from collections.abc import Collection
from dataclasses import dataclass

from mediagen.runner.evidence import Evidence
from mediagen.runner.settling import Settling
from mediagen.runner.steps import CallSteps


@dataclass(frozen=True, kw_only=True, slots=True)
class Late:
    """Opens jobs again of which something turned up; whoever claims them goes on with them."""

    settling: Settling
    evidence: Evidence

    async def look(self, only: str | None = None, *, busy: Collection[str] = ()) -> None:
        """Look for all that was given up.

        Args:
            only: Job that alone is looked for.
            busy: Jobs that this process is not done with.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        await self.settling.settle_late(only)
        await self.evidence.look(only, busy=busy)


def late_of(steps: CallSteps) -> Late:
    """Looks with what the steps of jobs work with."""
    return Late(
        settling=Settling(steps=steps),
        evidence=Evidence(ledger=steps.ledger, endpoints=steps.endpoints, collector=steps.collector, clock=steps.clock),
    )
