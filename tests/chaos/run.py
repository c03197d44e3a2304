"""One run: set up, let it rage, let it settle, gather the evidence."""

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.blows import CUT_NAMES, Striker, plan_blows
from tests.chaos.clients import Clients
from tests.chaos.google import Google, running_google
from tests.chaos.instants import MEDIA
from tests.chaos.judge import Evidence, FileFacts, Verdict, WishFacts, judge
from tests.chaos.ledgers import Book, Postgres, Sqlite, Unreadable
from tests.chaos.options import Options
from tests.chaos.processes import Gone, ours, submitters
from tests.chaos.stage import Stage
from tests.chaos.wishes import make_wishes
from tests.stored import sha256_as_made

ENDED_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        hits: How often each instant was hit, by instant and force.
        misses: How often an instant did not come.
        counts: What else happened.
        refusals: What servers refused, in their words.
    """

    options: Options
    verdict: Verdict
    hits: Mapping[tuple[str, str], int]
    misses: Mapping[str, int]
    counts: Mapping[str, int]
    refusals: tuple[str, ...]
    is_detached: bool
    seconds: float


def run(options: Options) -> Outcome:
    """Do it all."""
    started = time.monotonic()
    database = Postgres(options) if options.engine == "postgresql" else Sqlite(options)
    with (
        contextlib.closing(database),
        running_google(options.folder / "google", seed=options.seed) as google,
    ):
        stage = Stage(options, google, Book(database))
        striker = Striker(stage, plan_blows(options.seed, options.blows, options.gap_seconds))

        def may_begin(number: int) -> bool:
            # The blows are spread over all jobs, however quick the machine is.
            return number < options.clients + striker.done * options.jobs / max(1, options.blows)

        clients = Clients(stage, make_wishes(options.seed, options.jobs, chains=options.chains), may_begin)
        try:
            stage.open()
            clients.start()
            striker.start()
            clients.join()
            striker.stop()
        finally:
            stage.close()
        _settle(stage)
        evidence = _evidence(stage, google, clients)
        hits = striker.hits + Counter((CUT_NAMES[where], "cut") for where, _ in google.cut_tags)
        stage.counts.update({f"emulator answered {words}": number for words, number in google.errors.items()})
        return Outcome(
            options=options,
            verdict=judge(evidence),
            hits=hits,
            misses=striker.misses,
            counts=stage.counts,
            refusals=tuple(clients.refusals),
            is_detached=evidence.is_detached,
            seconds=time.monotonic() - started,
        )


def _settle(stage: Stage) -> None:
    """Let one server, and one worker, bring everything to its end."""
    deadline = time.monotonic() + stage.options.settle_seconds
    last = Stage(stage.options, stage.google, stage.book)
    try:
        with contextlib.suppress(Gone, TimeoutError):
            last.server("last")
            if stage.options.workers:
                last.replace("w")
        while time.monotonic() < deadline and not _is_settled(stage, last):
            time.sleep(0.1)
        stage.counts["seconds to settle"] = round(time.monotonic() - (deadline - stage.options.settle_seconds))
    finally:
        last.close()
    stage.unended += last.unended
    stage.saw_submitter = stage.saw_submitter or last.saw_submitter
    end = time.monotonic() + ENDED_SECONDS
    while time.monotonic() < end and ours(stage.options):
        time.sleep(0.05)


def _is_settled(stage: Stage, last: Stage) -> bool:
    """Whether no job is open, nothing is left to be cleared away, and no submitter waits for an answer."""
    try:
        if stage.book.open_jobs():
            return False
        unconfirmed = {
            f"{job.job_id}-{call.ordinal}"
            for job in stage.book.jobs()
            for call in job.calls
            if call.status == "unconfirmed"
        }
    except Unreadable:
        return False
    serving = {child for process in last.processes() for child in process.children()}
    return not set(_spool(stage.options)) - unconfirmed and not set(submitters(stage.options)) - serving


def _evidence(stage: Stage, google: Google, clients: Clients) -> Evidence:
    excuses = {**stage.excuses}
    excuses |= {tag: "its connection was cut" for where, tag in google.cut_tags if where in {"before", "after"}}
    options = stage.options
    return Evidence(
        wishes=tuple(
            WishFacts(
                tag=wish.tag,
                calls=wish.calls,
                jobs=wish.jobs,
                excuse=excuses.get(wish.tag, ""),
                again=clients.told_in_vain[wish.tag],
            )
            for wish in clients.begun
        ),
        posts=tuple(exchange.tag for exchange in google.paid),
        bill=tuple(google.bill()),
        served={operation: frozenset(digests) for operation, digests in google.served().items()},
        jobs=stage.book.jobs(),
        told=dict(clients.told),
        files={str(path): _facts(path) for path in _media(options)},
        failures=frozenset(_failures(options)),
        half_files=tuple(path.name for path in options.output_dir.glob(".*")),
        spool=_spool(options),
        processes=tuple(f"{pid} {command[:100]}" for pid, command in ours(options)),
        unended=tuple(stage.unended),
        is_detached=stage.saw_submitter,
    )


def _failures(options: Options) -> Iterator[tuple[str, int]]:
    for path in options.output_dir.glob("*.json"):
        record = json.loads(path.read_bytes())
        if record["status"] == "ERROR":
            yield record["job_id"], record["ordinal"]


def _spool(options: Options) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in (options.state_dir / "spool").glob("*") if path.is_dir()))


def _media(options: Options) -> list[Path]:
    return sorted(path for path in options.output_dir.iterdir() if path.suffix in MEDIA and path.name[0] != ".")


def _facts(path: Path) -> FileFacts:
    as_made = ""
    # What cannot be taken apart is judged by its digests alone, and found wrong.
    with contextlib.suppress(Exception):
        as_made = sha256_as_made(path)
    data = path.read_bytes()
    return FileFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        as_made=as_made,
        size_bytes=len(data),
        has_record=path.with_suffix(".json").is_file(),
    )
