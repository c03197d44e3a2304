"""What one run of chaos is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Engine = Literal["sqlite", "postgresql"]
MUTATIONS = ("row-after-post", "retry-on-timeout", "no-lease-check", "no-ticket")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """One run.

    Attributes:
        seed: Decides the wishes, the delays, the plan of what is done to whom; not the clock of the machine.
        jobs: How many wishes the clients have.
        blows: How many times somebody is hurt.
        servers: Processes of `mediagen serve`.
        workers: Processes of `mediagen worker`.
        clients: How many wishes are asked for at once.
        seconds: How long wishes are begun at most.
        settle_seconds: How long everything may take to come to its end afterwards.
        lease_seconds: How long a silent process keeps its jobs.
        sweep_seconds: How often a process looks for jobs that nobody drives.
        linger_seconds: How long at most the program pauses at each instant, so that it can be hit.
        gap_seconds: Shortest and longest pause between two blows.
        database_url: Address of PostgreSQL; given to every process as MEDIAGEN_DATABASE_URL.
        database_control: Command that stops and starts the database, called with ``stop`` or ``start`` at its end.
        mutate: Guard that is taken away, to see whether that is noticed.
        chains: Whether some clips are extended twice.
        environment: Further variables for every process.
    """

    seed: int
    folder: Path
    jobs: int = 300
    blows: int = 150
    servers: int = 4
    workers: int = 0
    clients: int = 8
    seconds: float = 600.0
    settle_seconds: float = 300.0
    lease_seconds: float = 2.0
    sweep_seconds: float = 0.5
    linger_seconds: float = 0.06
    gap_seconds: tuple[float, float] = (0.1, 0.8)
    engine: Engine = "sqlite"
    database_url: str = ""
    database_control: str = ""
    mutate: str = ""
    chains: bool = True
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def standstill_seconds(self) -> float:
        """How long a stopped process stands still: longer than its lease, and than it takes others to notice."""
        return self.lease_seconds + 2 * self.sweep_seconds + 1

    @property
    def state_dir(self) -> Path:
        """Folder of the ledger."""
        return self.folder / "state"

    @property
    def output_dir(self) -> Path:
        """Folder of the finished files."""
        return self.folder / "made 🎬"

    @property
    def home(self) -> Path:
        """HOME of every process; tells them from all others of the machine."""
        return self.folder / "home"
