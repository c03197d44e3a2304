"""The harness as a program: python -m tests.chaos; see scripts/chaos."""

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.options import MUTATIONS, Options
from tests.chaos.run import Outcome, run

LONG = {"jobs": 300, "blows": 150, "servers": 4, "clients": 8, "seconds": 600.0}
SHORT = {"jobs": 40, "blows": 24, "servers": 3, "clients": 6, "seconds": 60.0}


def main(words: list[str] | None = None) -> int:
    """Run it, print the figures; 1 when something is wrong."""
    parser = _parser()
    arguments = parser.parse_args(words)
    if arguments.workers and arguments.engine != "postgresql":
        parser.error("--workers needs --engine postgresql")
    with _folder(keep=arguments.keep) as folder:
        outcome = run(_options(arguments, folder))
        print(table(outcome))
        if arguments.keep:
            print(f"kept: {folder}")
    return 1 if outcome.verdict.violations else 0


def table(outcome: Outcome) -> str:
    """The figures of a run, in lines."""
    options = outcome.options
    way = "detached submitter" if outcome.is_detached else "in-process"
    lines = [
        f"chaos: seed {options.seed}, {options.engine}, {way}, {options.servers} servers, {options.workers} workers, "
        f"{outcome.seconds:.0f} s" + (f", without its guard: {options.mutate}" if options.mutate else ""),
        *_section("figures", outcome.verdict.figures),
        *_section("instants hit", _by_instant(outcome)),
        *_section("instants that did not come or were over", outcome.misses),
        *_section("besides", outcome.counts),
    ]
    if outcome.refusals:
        lines += ["", "refused:", *(f"  {words}" for words in outcome.refusals[:10])]
    lines.append("")
    if outcome.verdict.violations:
        lines.append(f"WRONG ({len(outcome.verdict.violations)}):")
        lines += [f"  {found.kind}: {found.about}: {found.words}" for found in outcome.verdict.violations]
    else:
        lines.append("nothing paid twice, nothing lost, nothing stuck, every file right")
    return "\n".join([*lines, f"again: {_again(options)}"])


def _section(title: str, figures: object) -> list[str]:
    assert isinstance(figures, dict | Counter)
    width = max(map(len, figures), default=0)
    return ["", f"{title}:", *(f"  {name:<{width}}  {number:>5}" for name, number in figures.items())]


def _by_instant(outcome: Outcome) -> dict[str, int]:
    return {f"{instant} ({force})": number for (instant, force), number in sorted(outcome.hits.items())}


def _again(options: Options) -> str:
    words = ["scripts/chaos", f"--seed {options.seed}", f"--jobs {options.jobs}", f"--servers {options.servers}"]
    words += [f"--blows {options.blows}", f"--clients {options.clients}", f"--seconds {options.seconds:g}"]
    words.append(f"--lease-seconds {options.lease_seconds:g}")
    if options.workers:
        words.append(f"--workers {options.workers}")
    if options.engine != "sqlite":
        words.append(f"--engine {options.engine}")
    if options.mutate:
        words.append(f"--mutate {options.mutate}")
    words += [f"--env {name}={value}" for name, value in options.environment]
    return " ".join(words if options.chains else [*words, "--no-chains"])


@contextlib.contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mediagen-chaos-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _options(arguments: argparse.Namespace, folder: Path) -> Options:
    sizes = SHORT if arguments.short else LONG
    given = {name: getattr(arguments, name) for name in sizes}
    chosen = {name: sizes[name] if value is None else value for name, value in given.items()}
    return Options(
        seed=random.SystemRandom().randrange(2**16) if arguments.seed is None else arguments.seed,
        folder=folder,
        jobs=int(chosen["jobs"]),
        blows=int(chosen["blows"]),
        servers=int(chosen["servers"]),
        clients=int(chosen["clients"]),
        seconds=chosen["seconds"],
        workers=arguments.workers,
        settle_seconds=arguments.settle_seconds,
        lease_seconds=arguments.lease_seconds,
        engine=arguments.engine,
        database_url=arguments.database_url,
        database_control=arguments.database_control,
        mutate=arguments.mutate or "",
        chains=arguments.chains,
        environment=tuple((name, value) for name, _, value in (each.partition("=") for each in arguments.env)),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Servers on one ledger, many jobs, and every process killed at the worst instants; then the bill, "
        "the ledger and the files are compared. Costs nothing: everything is asked of the emulator.",
    )
    parser.add_argument("--short", action="store_true", help="the form of CI: 40 jobs, 3 servers")
    parser.add_argument("--seed", type=int, help="repeat a run: the same wishes, delays and plan (default: by chance)")
    parser.add_argument("--jobs", type=int, help="how many jobs the clients want (default: 300)")
    parser.add_argument("--blows", type=int, help="how many times somebody is hurt (default: 150)")
    parser.add_argument("--servers", type=int, help="processes of `mediagen serve` (default: 4)")
    parser.add_argument("--workers", type=int, default=0, help="processes of `mediagen worker` (default: 0)")
    parser.add_argument("--clients", type=int, help="jobs that are asked for at once (default: 8)")
    parser.add_argument("--seconds", type=float, help="how long jobs are begun at most (default: 600)")
    parser.add_argument("--settle-seconds", type=float, default=300.0, help="for the end of all jobs (default: 300)")
    parser.add_argument(
        "--lease-seconds", type=float, default=2.0, help="how long a silent process keeps its jobs (default: 2)"
    )
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite", help="where the ledger is")
    parser.add_argument(
        "--database-url",
        default=os.environ.get("MEDIAGEN_DATABASE_URL", ""),
        help="default: MEDIAGEN_DATABASE_URL, else a server of the run's own",
    )
    parser.add_argument("--database-control", default="", help="command that takes `stop` or `start`, for outages")
    parser.add_argument("--mutate", choices=MUTATIONS, help="take a guard away; the run must fail then")
    parser.add_argument("--chains", action=argparse.BooleanOptionalAction, default=True, help="with chains of clips")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="variable for every process")
    parser.add_argument("--keep", action="store_true", help="keep the folder with ledger, files and logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
