"""The instants at which a blow hurts most: each waits for its moment at some process and says whose it is.

A watcher is called every few milliseconds. When it sees its moment, the process is stopped and the watcher's `holds`
is asked: only what is still true of the stopped process counts as hit.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.chaos.google import Exchange
from tests.chaos.ledgers import OPEN, Work
from tests.chaos.processes import Process
from tests.chaos.stage import Stage

MEDIA = (".jpg", ".png", ".webp", ".mp4")
RECORD = re.compile(r"^\.mediagen-(?P<job>job_[a-z0-9]+)-record-")
FAILURES = {"failed", "filtered", "expired", "unconfirmed"}
FRESH_SECONDS = 0.15
RECENT_SECONDS = 0.004
UNDER_WAY_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """A process at its instant.

    Attributes:
        holds: Whether that is still so; asked while the process is stopped.
    """

    process: Process
    tag: str
    holds: Callable[[], bool]


Watcher = Callable[[Stage], Sighting | None]


def row_written_nothing_sent(stage: Stage) -> Sighting | None:
    """The row is in the ledger, the paid request has not arrived."""
    arrived = {exchange.tag for exchange in stage.google.paid}
    for tag, states in stage.book.states(not_older_than=RECENT_SECONDS).items():
        process = stage.find(stage.asked.get(tag, ""))
        if process and states == ["submitting"] and tag not in arrived:
            return Sighting(process=process, tag=tag, holds=partial(_is_unsent, stage, tag))
    return None


def _is_unsent(stage: Stage, tag: str) -> bool:
    # What is under way already arrives while its sender stands still.
    time.sleep(UNDER_WAY_SECONDS)
    return not any(exchange.tag == tag for exchange in stage.google.paid)


def may_leave_not_handed_over(stage: Stage) -> Sighting | None:
    """The ledger has given the right to send a request, the submitter has not taken its ticket."""
    for call in stage.book.work(not_older_than=RECENT_SECONDS):
        if _is_held_back(stage, call) and (process := stage.find_by_id(call.process_id)):
            return Sighting(process=process, tag=call.tag, holds=partial(_is_still_held_back, stage, call))
    return None


def _is_held_back(stage: Stage, call: Work) -> bool:
    folder = stage.options.state_dir / "spool" / f"{call.job_id}-{call.ordinal}"
    return call.status == "submitting" and call.attempt and not any(folder.glob("paid-*.ticket"))


def _is_still_held_back(stage: Stage, call: Work) -> bool:
    time.sleep(UNDER_WAY_SECONDS)
    return _is_held_back(stage, call)


def sent_not_answered(stage: Stage) -> Sighting | None:
    """The paid request has arrived and is billed, the answer is still to come."""
    return _in_progress(stage, "paid", lambda exchange: bool(exchange.operation) and not exchange.sent_bytes)


def just_answered(stage: Stage) -> Sighting | None:
    """The answer has just been sent, the ledger does not know it."""
    for exchange in reversed(list(stage.google.answered)):
        process = stage.find(exchange.process)
        if process and time.monotonic() - exchange.ended_at < FRESH_SECONDS:
            return Sighting(process=process, tag=exchange.tag, holds=partial(_is_submitting, stage, exchange.tag))
    return None


def _is_submitting(stage: Stage, tag: str) -> bool:
    return "submitting" in stage.book.states().get(tag, ())


def polling(stage: Stage) -> Sighting | None:
    """Google is being asked how far a job is."""
    return _in_progress(stage, "poll", lambda exchange: not exchange.sent_bytes)


def downloading(stage: Stage) -> Sighting | None:
    """A part of a file is here, another is still to come: by a download, or inside an answer."""
    return _in_progress(stage, "download", _is_midway) or _in_progress(stage, "poll", _is_midway)


def placed_not_recorded(stage: Stage) -> Sighting | None:
    """A file has its final name, the ledger does not know it."""
    for tag in _open_tags(stage):
        if _placed(stage, tag, not_older_than=RECENT_SECONDS) and (process := _driver(stage, tag)):
            return Sighting(process=process, tag=tag, holds=partial(_is_open, stage, tag))
    return None


def between_two_files(stage: Stage) -> Sighting | None:
    """The first file of a call has its final name, the second has none."""
    for tag in _open_tags(stage):
        is_half = _placed(stage, tag, not_older_than=RECENT_SECONDS) == {"_0"}
        if is_half and (process := _driver(stage, tag)):
            return Sighting(process=process, tag=tag, holds=partial(_is_half, stage, tag))
    return None


def ended_not_recorded(stage: Stage) -> Sighting | None:
    """The ledger says that a job has no file, the record of that is not in the folder."""
    for tag, states in stage.book.states(not_older_than=RECENT_SECONDS).items():
        if set(states) & FAILURES and _is_unrecorded(stage, tag, RECENT_SECONDS) and (process := _driver(stage, tag)):
            return Sighting(process=process, tag=tag, holds=partial(_is_unrecorded, stage, tag))
    return None


def _is_unrecorded(stage: Stage, tag: str, not_older_than: float = 0.0) -> bool:
    names = stage.names(not_older_than=not_older_than)
    return not {f"{tag}.json", f"{tag}_0.json", f"{tag}_1.json"} & names


def writing_record(stage: Stage) -> Sighting | None:
    """A record is written, and has no name yet."""
    for name in stage.names(not_older_than=RECENT_SECONDS):
        if (found := RECORD.match(name)) is None:
            continue
        for call in stage.book.work(not_older_than=RECENT_SECONDS):
            if call.job_id == found["job"] and (process := stage.find_by_id(call.process_id)):
                holds = (stage.options.output_dir / name).exists
                return Sighting(process=process, tag=call.tag, holds=holds)
    return None


def taking_over(stage: Stage) -> Sighting | None:
    """A process goes on with a job that another one began."""
    for kind in ("poll", "download"):
        found = _in_progress(stage, kind, lambda exchange: stage.asked.get(exchange.tag) != exchange.process)
        if found:
            return found
    return None


def _in_progress(stage: Stage, kind: str, fits: Callable[[Exchange], bool]) -> Sighting | None:
    for exchange in list(stage.google.open.values()):
        if exchange.kind == kind and exchange.tag and fits(exchange) and (process := stage.find(exchange.process)):
            holds = partial(_still, exchange, fits)
            return Sighting(process=process, tag=exchange.tag, holds=holds)
    return None


def _still(exchange: Exchange, fits: Callable[[Exchange], bool]) -> bool:
    return not exchange.is_answered and fits(exchange)


def _is_midway(exchange: Exchange) -> bool:
    return 0.1 < exchange.share < 0.9


def _open_tags(stage: Stage) -> list[str]:
    known = stage.book.states(not_older_than=RECENT_SECONDS)
    return [tag for tag, states in known.items() if tag and set(states) & set(OPEN)]


def _placed(stage: Stage, tag: str, *, not_older_than: float = 0.0) -> set[str]:
    """Which files of a wish have their final names."""
    names = stage.names(not_older_than=not_older_than)
    return {number for number in ("", "_0", "_1") if any(f"{tag}{number}{suffix}" in names for suffix in MEDIA)}


def _driver(stage: Stage, tag: str) -> Process | None:
    for call in stage.book.work(not_older_than=RECENT_SECONDS):
        if call.tag == tag and (process := stage.find_by_id(call.process_id)):
            return process
    return stage.find(stage.google.last_process.get(tag, ""))


def _is_open(stage: Stage, tag: str) -> bool:
    return bool(set(stage.book.states().get(tag, ())) & set(OPEN))


def _is_half(stage: Stage, tag: str) -> bool:
    return _placed(stage, tag) == {"_0"} and _is_open(stage, tag)


WATCHERS: dict[str, Watcher] = {
    "row written, nothing sent": row_written_nothing_sent,
    "may leave, not handed over": may_leave_not_handed_over,
    "sent, not answered": sent_not_answered,
    "just answered": just_answered,
    "polling": polling,
    "in the middle of a download": downloading,
    "file placed, not in the ledger": placed_not_recorded,
    "between two files": between_two_files,
    "writing a record": writing_record,
    "ended, no record": ended_not_recorded,
    "taking over": taking_over,
}
