"""`mediagen worker`: advances the jobs of all servers that share one PostgreSQL database."""

import argparse
import logging
import signal

import anyio

from mediagen.app.app import App
from mediagen.errors import ConfigurationError
from mediagen.runner.distributed import CONCURRENCY, Distributed

logger = logging.getLogger("mediagen.worker")

HELP = "advance the jobs of all servers that share a PostgreSQL database (MEDIAGEN_DATABASE_URL)"
STOPPING = (signal.SIGTERM, signal.SIGINT)


def add_worker(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    worker = commands.add_parser("worker", help=HELP, description=HELP)
    worker.add_argument(
        "--concurrency",
        type=_positive,
        default=CONCURRENCY,
        metavar="NUMBER",
        help=f"jobs that are advanced side by side (default {CONCURRENCY})",
    )


async def run_worker(app: App, namespace: argparse.Namespace) -> int:
    """Advance jobs until SIGTERM or SIGINT; the steps that are being taken then are ended first.

    Raises:
        ConfigurationError: The ledger is not in a database that several processes share.
    """
    scheduler = app.runner.scheduler
    if not isinstance(scheduler, Distributed):
        raise ConfigurationError(
            "mediagen worker needs MEDIAGEN_DATABASE_URL, which is not set.",
            hint="Set it to the database of the servers. Without one each server advances its own jobs; no worker is "
            "needed.",
        )
    logging.getLogger("mediagen").setLevel(app.settings.log_level)
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, stop)
        logger.info("advances up to %d jobs side by side", namespace.concurrency)
        await scheduler.work(stop, concurrency=namespace.concurrency)
        group.cancel_scope.cancel()
    return 0


async def _stop_on_signal(stop: anyio.Event) -> None:
    with anyio.open_signal_receiver(*STOPPING) as signals:
        async for _ in signals:
            stop.set()


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError(f"{number} is not within 1 to 1000")
    return number
