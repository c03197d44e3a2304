"""Judges a run by its evidence alone: the bill, the ledger, the files, the processes. No I/O."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

OPEN = frozenset({"submitting", "running", "downloading"})
# What a caller was told in these states is true of a call that was billed and left no file.
TOLD = frozenset({"unconfirmed", "expired"})
# Without a file for good.
FAILURES = frozenset({"failed", "filtered", "cancelled", "expired", "unconfirmed"})
ONE_IN = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class WishFacts:
    """What a client wanted.

    Attributes:
        calls: Paid calls that it takes.
        jobs: Jobs that it takes.
        excuse: Why its answer could not be seen by anyone: its connection was cut, its submitter was killed.
        again: How often it may count anew: so often the end of its job was told to a client that had given up and
            asked again.
    """

    tag: str
    calls: int = 1
    jobs: int = 1
    excuse: str = ""
    again: int = 0

    @property
    def most_calls(self) -> int:
        """Paid calls that there may be."""
        return self.calls * (1 + self.again)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file as the ledger keeps it."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFacts:
    """A paid call as the ledger keeps it."""

    ordinal: int
    status: str
    samples: int = 1
    operation: str = ""
    billed: str = ""
    error: str = ""
    files: tuple[StoredFile, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFacts:
    """A job as the ledger keeps it."""

    job_id: str
    tag: str
    status: str
    calls: tuple[CallFacts, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """A file as it lies on the disk.

    Attributes:
        as_made: Digest without the record that we put inside; empty when the file cannot be read.
        has_record: Whether its record lies beside it.
    """

    sha256: str
    as_made: str
    size_bytes: int
    has_record: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that is known after a run, when no process is left.

    Attributes:
        posts: Wish of each paid request that arrived.
        bill: Wish and operation of each that was billed.
        served: Digests of what was made, by operation; of everything under the empty name.
        told: Job that a client was told of, by wish.
        files: Finished media files, by path.
        failures: Job and place of each file that, as a record in the output folder says, could not be had.
        half_files: Unfinished files in the output folder.
        spool: Calls of which something is kept beside the ledger, as ``job_id-ordinal``.
        processes: What still runs, in words.
        is_detached: Whether paid requests were sent by a process of their own.
        unended: Processes that did not end when they were told to.
    """

    wishes: tuple[WishFacts, ...]
    posts: tuple[str, ...]
    bill: tuple[tuple[str, str], ...]
    served: Mapping[str, frozenset[str]]
    jobs: tuple[JobFacts, ...]
    files: Mapping[str, FileFacts]
    told: Mapping[str, str] = field(default_factory=dict)
    failures: frozenset[tuple[str, int]] = frozenset()
    half_files: tuple[str, ...] = ()
    spool: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    unended: tuple[str, ...] = ()
    is_detached: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """Something that must not be.

    Attributes:
        kind: ``twice``, ``lost``, ``stuck``, ``unconfirmed``, ``file``, ``left`` or ``process``.
        about: Wish, job or path.
    """

    kind: str
    about: str
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Figures, and what is wrong."""

    figures: Mapping[str, int]
    violations: tuple[Violation, ...] = field(default=())


def judge(evidence: Evidence) -> Verdict:
    """Judge a run."""
    violations = [
        *_twice(evidence),
        *_lost(evidence),
        *_stuck(evidence),
        *_unconfirmed(evidence),
        *_files(evidence),
        *_records(evidence),
        *_left(evidence),
    ]
    return Verdict(figures=_figures(evidence, violations), violations=tuple(violations))


def _twice(evidence: Evidence) -> Iterator[Violation]:
    wishes = {wish.tag: wish for wish in evidence.wishes}
    billed = Counter(tag for tag, _ in evidence.bill)
    for tag, number in billed.items():
        most = wishes[tag].most_calls if tag in wishes else 0
        if number > most:
            yield Violation(kind="twice", about=tag or "?", words=f"billed {number} times for {most} paid calls")
    for tag, number in Counter(evidence.posts).items():
        most = wishes[tag].most_calls if tag in wishes else 0
        if most < number != billed[tag]:
            yield Violation(kind="twice", about=tag or "?", words=f"sent {number} times for {most} paid calls")
    # What has failed for nothing may be asked for anew.
    for tag, number in Counter(job.tag for job in evidence.jobs if not _is_for_nothing(job)).items():
        if tag in wishes and number > wishes[tag].jobs * (1 + wishes[tag].again):
            yield Violation(kind="twice", about=tag, words=f"{number} jobs for one wish")


def _is_for_nothing(job: JobFacts) -> bool:
    return bool(job.calls) and all(call.status in FAILURES and call.billed == "no" for call in job.calls)


def _lost(evidence: Evidence) -> Iterator[Violation]:
    """Billed, and neither a file nor the truth about it."""
    known: dict[str, list[CallFacts]] = defaultdict(list)
    for job in evidence.jobs:
        known[job.tag] += job.calls
    wanted = {wish.tag: wish.most_calls for wish in evidence.wishes}
    for tag, number in Counter(tag for tag, _ in evidence.bill).items():
        calls = known[tag]
        # What is paid beyond the wish is twice, and an open call is stuck: both are said elsewhere.
        number = min(number, wanted.get(tag, number))  # noqa: PLW2901 - of the bill, as far as it is asked about here
        kept = [call for call in calls if call.status == "succeeded" or call.status in TOLD | OPEN]
        if number > len(kept):
            states = (
                ", ".join(sorted(f"{call.status} {call.error}".strip() for call in calls)) or "no row in the ledger"
            )
            yield Violation(kind="lost", about=tag or "?", words=f"billed {number} times; ledger: {states}")
    billed = Counter(tag for tag, _ in evidence.bill)
    for tag, calls in known.items():
        made = sum(call.status == "succeeded" for call in calls)
        if made > billed[tag]:
            yield Violation(kind="lost", about=tag, words=f"{made} calls succeeded, {billed[tag]} were billed")

    rows = {job.job_id for job in evidence.jobs}
    for tag, job_id in evidence.told.items():
        if job_id not in rows:
            yield Violation(kind="lost", about=tag, words=f"a client was told of {job_id}, which the ledger has not")


def _stuck(evidence: Evidence) -> Iterator[Violation]:
    for job in evidence.jobs:
        states = [call.status for call in job.calls]
        if job.status in OPEN or OPEN & set(states):
            yield Violation(kind="stuck", about=job.tag, words=f"{job.job_id} is {job.status} ({', '.join(states)})")


def _unconfirmed(evidence: Evidence) -> Iterator[Violation]:
    found = _without_excuse(evidence)
    most = max(1, len(evidence.wishes) // ONE_IN)
    if evidence.is_detached and len(found) > most:
        words = f"{len(found)} jobs unconfirmed without excuse, at most {most}: {', '.join(found[:10])}"
        yield Violation(kind="unconfirmed", about=found[0], words=words)


def _without_excuse(evidence: Evidence) -> list[str]:
    excused = {wish.tag for wish in evidence.wishes if wish.excuse}
    return [job.tag for job in evidence.jobs if _is_unconfirmed(job) and job.tag not in excused]


def _is_unconfirmed(job: JobFacts) -> bool:
    return any(call.status == "unconfirmed" for call in job.calls)


def _files(evidence: Evidence) -> Iterator[Violation]:
    known: dict[str, str] = {}
    for job in evidence.jobs:
        for call in job.calls:
            if call.status == "succeeded" and len(call.files) != call.samples:
                words = f"{len(call.files)} of {call.samples} files of {job.job_id} call {call.ordinal}"
                yield Violation(kind="file", about=job.tag, words=words)
            for stored in call.files:
                if stored.path in known:
                    yield Violation(kind="file", about=job.tag, words=f"{stored.path} is also of {known[stored.path]}")
                known[stored.path] = job.job_id
                if words := _wrong(evidence, call, stored):
                    yield Violation(kind="file", about=job.tag, words=f"{stored.path}: {words}")
    for path in sorted(set(evidence.files) - set(known)):
        yield Violation(kind="file", about=path, words="no job knows this file")


def _records(evidence: Evidence) -> Iterator[Violation]:
    for job in evidence.jobs:
        place = 0
        for call in job.calls:
            if call.status in FAILURES and (job.job_id, place) not in evidence.failures:
                words = f"no record says that {job.job_id} call {call.ordinal} is {call.status}"
                yield Violation(kind="file", about=job.tag, words=words)
            place += call.samples


def _wrong(evidence: Evidence, call: CallFacts, stored: StoredFile) -> str:
    """What is wrong with a file, if anything."""
    found = evidence.files.get(stored.path)
    if found is None:
        return "is not there"
    if (found.sha256, found.size_bytes) != (stored.sha256, stored.size_bytes):
        return f"sha256 {found.sha256[:12]}… ({found.size_bytes} bytes), the ledger says {stored.sha256[:12]}…"
    if not found.has_record:
        return "has no record beside it"
    served = evidence.served.get(call.operation, frozenset()) or evidence.served.get("", frozenset())
    return "" if found.as_made in served else "is not what was served for this call"


def _left(evidence: Evidence) -> Iterator[Violation]:
    unsettled = {
        f"{job.job_id}-{call.ordinal}"
        for job in evidence.jobs
        for call in job.calls
        # An answer may still come; and what is stuck is said elsewhere.
        if call.status == "unconfirmed" or call.status in OPEN
    }
    for path in evidence.half_files:
        if not any(name in path for name in unsettled):
            yield Violation(kind="left", about=path, words="an unfinished file was left")
    for name in evidence.spool:
        if name not in unsettled:
            yield Violation(kind="left", about=name, words="still in the spool")
    for words in evidence.processes:
        yield Violation(kind="process", about=words, words="still runs")
    for words in evidence.unended:
        yield Violation(kind="process", about=words, words="did not end when it was told to")


def _figures(evidence: Evidence, violations: list[Violation]) -> dict[str, int]:
    kinds = Counter(violation.kind for violation in violations)
    states = Counter(call.status for job in evidence.jobs for call in job.calls)
    unseen = _without_excuse(evidence)
    posted = set(evidence.posts)
    return {
        "wishes": len(evidence.wishes),
        "jobs": len(evidence.jobs),
        "paid calls in the ledger": sum(states.values()),
        "paid requests arrived": len(evidence.posts),
        "billed": len(evidence.bill),
        **{f"calls {state}": number for state, number in sorted(states.items())},
        "files": len(evidence.files),
        "paid twice": kinds["twice"],
        "lost": kinds["lost"],
        "stuck": kinds["stuck"],
        "unconfirmed": len(unseen),
        "unconfirmed though nothing was sent": sum(tag not in posted for tag in unseen),
        "unconfirmed, connection cut or submitter killed": sum(map(_is_unconfirmed, evidence.jobs)) - len(unseen),
        "wrong files": kinds["file"],
        "left behind": kinds["left"],
        "processes left": kinds["process"],
    }
