"""The judge of a run of chaos sees each thing that must not be, and nothing else."""

from dataclasses import replace

import pytest
from tests.chaos.judge import CallFacts, Evidence, FileFacts, JobFacts, StoredFile, WishFacts, judge

TAG = "chaos-0001-0000"
PATH = "/made/chaos-0001-0000.mp4"
STORED = StoredFile(path=PATH, sha256="with-record", size_bytes=12)
MADE = CallFacts(ordinal=0, status="succeeded", operation="op-1", billed="yes", files=(STORED,))
JOB = JobFacts(job_id="job_1", tag=TAG, status="succeeded", calls=(MADE,))
GOOD = Evidence(
    wishes=(WishFacts(tag=TAG),),
    posts=(TAG,),
    bill=((TAG, "op-1"),),
    served={"op-1": frozenset({"as-made"}), "": frozenset({"as-made", "of-another"})},
    jobs=(JOB,),
    files={PATH: FileFacts(sha256="with-record", as_made="as-made", size_bytes=12)},
    # Looked for only where the ledger says that there is no file.
    failures=frozenset({("job_1", 0)}),
)


def job(**changes: object) -> tuple[JobFacts, ...]:
    """The one job, with another call."""
    call = replace(MADE, **changes)  # type: ignore[arg-type]  # fields by name
    return (replace(JOB, status=call.status, calls=(call,)),)


def kinds(**changes: object) -> list[str]:
    evidence = replace(GOOD, **changes)  # type: ignore[arg-type]  # as above
    return sorted({violation.kind for violation in judge(evidence).violations})


def test_flawless_run_has_no_violation():
    assert kinds() == []


def test_wish_that_was_never_sent_is_no_violation():
    assert kinds(posts=(), bill=(), jobs=(), files={}) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"bill": ((TAG, "op-1"), (TAG, "op-2"))},
        {"posts": (TAG, TAG)},
        {"jobs": (JOB, replace(JOB, job_id="job_2", calls=()))},
    ],
    ids=["billed twice", "sent twice", "two jobs"],
)
def test_wish_that_was_paid_or_asked_for_twice_is_seen(changes):
    assert kinds(**changes) == ["twice"]


def test_wish_that_failed_for_nothing_may_be_asked_for_anew():
    failed = replace(JOB, job_id="job_2", calls=(replace(MADE, status="failed", billed="no", files=()),))
    assert kinds(jobs=(JOB, failed), failures=frozenset({("job_2", 0)})) == []


def test_wish_whose_end_was_told_in_vain_may_be_made_anew():
    other = replace(MADE, operation="op-2", files=(replace(STORED, path=f"{PATH}2"),))
    changes: dict[str, object] = {
        "posts": (TAG, TAG),
        "bill": ((TAG, "op-1"), (TAG, "op-2")),
        "jobs": (JOB, replace(JOB, job_id="job_2", calls=(other,))),
        "files": {**GOOD.files, f"{PATH}2": GOOD.files[PATH]},
        "served": {**GOOD.served, "op-2": frozenset({"as-made"})},
    }
    assert kinds(wishes=(WishFacts(tag=TAG, again=1),), **changes) == []
    assert kinds(**changes) == ["twice"]


def test_two_calls_of_one_wish_are_not_twice():
    other = replace(MADE, ordinal=1, operation="op-2", files=(replace(STORED, path=f"{PATH}2"),))
    found = kinds(
        wishes=(WishFacts(tag=TAG, calls=2),),
        posts=(TAG, TAG),
        bill=((TAG, "op-1"), (TAG, "op-2")),
        jobs=(replace(JOB, calls=(MADE, other)),),
        files={**GOOD.files, f"{PATH}2": GOOD.files[PATH]},
        served={**GOOD.served, "op-2": frozenset({"as-made"})},
    )
    assert found == []


@pytest.mark.parametrize(
    "changes",
    [
        {"jobs": (), "files": {}},
        {"jobs": job(status="failed", billed="no", files=()), "files": {}},
        {"jobs": job(status="cancelled", files=()), "files": {}},
        {"bill": ()},
        {"told": {TAG: "job_2"}},
    ],
    ids=["no row", "told to have failed", "told to be cancelled", "made but not billed", "told of another job"],
)
def test_paid_call_that_left_neither_file_nor_truth_is_lost(changes):
    assert kinds(**changes) == ["lost"]


def test_bill_for_nobody_is_seen():
    assert kinds(bill=((TAG, "op-1"), ("", "op-2")), posts=(TAG, "")) == ["lost", "twice"]


@pytest.mark.parametrize("status", ["unconfirmed", "expired"])
def test_call_that_was_told_to_have_no_file_is_not_lost(status):
    assert kinds(jobs=job(status=status, files=()), files={}) == []


@pytest.mark.parametrize("status", ["submitting", "running", "downloading"])
def test_job_that_has_not_ended_is_stuck(status):
    assert kinds(jobs=job(status=status, files=()), files={}) == ["stuck"]


def unconfirmed(number: int, *, excuse: str = "", is_detached: bool = True) -> Evidence:
    tags = [f"chaos-0001-{index:04d}" for index in range(number)]
    call = CallFacts(ordinal=0, status="unconfirmed")
    return Evidence(
        wishes=tuple(WishFacts(tag=tag, excuse=excuse) for tag in tags),
        posts=tuple(tags),
        bill=(),
        served={},
        jobs=tuple(JobFacts(job_id=f"job_{tag}", tag=tag, status="unconfirmed", calls=(call,)) for tag in tags),
        files={},
        failures=frozenset((f"job_{tag}", 0) for tag in tags),
        is_detached=is_detached,
    )


def test_more_unconfirmed_jobs_than_allowed_are_seen_with_the_detached_submitter_only():
    assert [found.kind for found in judge(unconfirmed(2)).violations] == ["unconfirmed"]
    assert judge(unconfirmed(1)).violations == ()
    assert judge(unconfirmed(2, is_detached=False)).violations == ()
    assert judge(unconfirmed(2, excuse="its connection was cut")).violations == ()


def test_limit_of_unconfirmed_jobs_grows_with_their_number():
    many = unconfirmed(1500)
    good = tuple(replace(job, calls=(), status="succeeded") for job in many.jobs[3:])
    assert judge(replace(many, jobs=many.jobs[:3] + good)).violations == ()
    assert [found.kind for found in judge(replace(many, jobs=many.jobs[:4] + good[1:])).violations] == ["unconfirmed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {}},
        {"files": {PATH: replace(GOOD.files[PATH], sha256="another")}},
        {"files": {PATH: replace(GOOD.files[PATH], size_bytes=11)}},
        {"files": {PATH: replace(GOOD.files[PATH], as_made="of-another")}},
        {"files": {PATH: replace(GOOD.files[PATH], as_made="")}},
        {"files": {PATH: replace(GOOD.files[PATH], has_record=False)}},
        {"files": {**GOOD.files, f"{PATH}_2": GOOD.files[PATH]}},
        {"jobs": job(samples=2)},
        {"jobs": job(samples=2, files=(STORED, STORED))},
        {"jobs": job(status="unconfirmed", files=()), "files": {}, "failures": frozenset()},
        {"jobs": job(status="unconfirmed", files=()), "files": {}, "failures": frozenset({("job_1", 1)})},
    ],
    ids=[
        "gone",
        "wrong sha256",
        "cut",
        "that of another",
        "unreadable",
        "without record",
        "one too many",
        "one too few",
        "twice one",
        "failure without record",
        "record of another failure",
    ],
)
def test_file_that_is_not_what_was_paid_for_is_seen(changes):
    assert kinds(**changes) == ["file"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"half_files": (".mediagen-job_1-0.part",)}, "left"),
        ({"half_files": (".mediagen-job_1-record-0.part",)}, "left"),
        ({"spool": ("job_1-0",)}, "left"),
        ({"processes": ("42 python -m mediagen.submitter",)}, "process"),
        ({"unended": ("s0.1",)}, "process"),
    ],
)
def test_what_is_left_behind_is_seen(changes, kind):
    assert kinds(**changes) == [kind]


def test_what_is_kept_for_a_late_answer_may_stay():
    assert kinds(jobs=job(status="unconfirmed", files=()), files={}, spool=("job_1-0",)) == []


def test_figures_count_what_happened():
    figures = judge(replace(GOOD, bill=((TAG, "op-1"), (TAG, "op-2")))).figures
    assert figures["billed"] == 2
    assert figures["paid twice"] == 1
    assert figures["calls succeeded"] == 1
    assert figures["unconfirmed"] == 0
