"""What callers are told about a job that is one of several extensions asked for at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mediagen.jobs import CHAIN_RESUMED_WITHIN, ChainLink, Job, JobStatus
from mediagen.report.job import AdjustmentReport, JobReport, NextReport

OF_ONE_CALL = frozenset({"source", "times", "request_id", "force_new", "dry_run", "preview", "wait_seconds", "max_usd"})
WAIT_SECONDS = 45


def with_chain(report: JobReport, job: Job, links: Sequence[Job], now: datetime) -> JobReport:
    """The report of a link with what became of its chain.

    Args:
        report: As of a job by itself.
        job: The link.
        links: All links made so far, in their order.
        now: Decides whether a chain that nobody goes on with is given up.
    """
    chain = job.chain
    if chain is None:
        return report
    following = next((link for link in links if link.chain and link.chain.link == chain.link + 1), None)
    before = next((link for link in links if link.chain and link.chain.link == chain.link - 1), None)
    warnings: tuple[str, ...]
    if not job.status.is_terminal:
        warnings, following_call = _of_open(chain), report.next
    elif job.status is not JobStatus.SUCCEEDED:
        warnings, following_call = _of_failed(job, chain, before), _again(report.next, chain)
    elif chain.is_last:
        warnings, following_call = (), report.next
    elif following is not None:
        reason = f"Link {chain.link + 1} of {chain.times} goes on from it."
        warnings, following_call = (), _follow(following.job_id, reason)
    else:
        warnings, following_call = _of_newest(job, chain, now)
    progress = report.progress.model_copy(
        update={"message": f"link {chain.link} of {chain.times}: {report.progress.message}"}
    )
    earlier = [link for link in links if link.chain and link.chain.link < chain.link]
    return report.model_copy(
        update={
            "adjustments": [*_changed_before(earlier, report), *report.adjustments],
            "warnings": [*_warned_before(earlier, report), *report.warnings, *warnings],
            "next": following_call,
            "progress": progress,
        }
    )


def _changed_before(earlier: Sequence[Job], report: JobReport) -> list[AdjustmentReport]:
    """What was changed for the links before, which nobody may have been told otherwise; each once."""
    known = {(told.field, str(told.from_), str(told.to)) for told in report.adjustments}
    found = []
    for number, change in ((_number(job), change) for job in earlier for change in job.adjustments):
        key = (change.field, str(change.from_value), str(change.to_value))
        if key not in known:
            known.add(key)
            reason = f"link {number}: {change.reason}"
            found.append(
                AdjustmentReport(field=change.field, from_=change.from_value, to=change.to_value, reason=reason)
            )
    return found


def _warned_before(earlier: Sequence[Job], report: JobReport) -> list[str]:
    found: dict[str, str] = {}
    for job in earlier:
        for warning in (*job.warnings, *(warning for call in job.calls for warning in call.warnings)):
            if warning not in report.warnings:
                found.setdefault(warning, f"Link {_number(job)}: {warning}")
    return list(found.values())


def _number(job: Job) -> int:
    return job.chain.link if job.chain else 1


def _of_open(chain: ChainLink) -> tuple[str, ...]:
    if chain.stopped is None:
        return ()
    return (f"The chain stops after this link ({chain.link} of {chain.times}): {chain.stopped}",)


def _of_newest(job: Job, chain: ChainLink, now: datetime) -> tuple[tuple[str, ...], NextReport]:
    """A link that was made, after which none has come yet."""
    why = chain.stopped
    if why is None and now - job.updated_at > CHAIN_RESUMED_WITHIN:
        hours = round(CHAIN_RESUMED_WITHIN.total_seconds() / 3600)
        why = f"no server was running to go on with it within {hours} hours."
    if why is None:
        return (), _follow(job.job_id, "The next link is about to be made; a running server sees to it.")
    why = why if why.endswith((".", "!", "?")) else f"{why}."
    stopped = f"Chain stopped after link {chain.link} of {chain.times}: {why} {_advice(job, chain.times - chain.link)}"
    arguments: dict[str, Any] = {
        "source": job.job_id,
        **{name: value for name, value in job.requested.items() if name not in OF_ONE_CALL},
    }
    return (stopped,), NextReport(
        tool="extend_video",
        arguments=_with_times(arguments, chain.times - chain.link),
        reason="Goes on where the chain stopped.",
    )


def _of_failed(job: Job, chain: ChainLink, before: Job | None) -> tuple[str, ...]:
    ended = f"Chain ended at link {chain.link} of {chain.times}, which is {job.status}."
    if before is None:
        return (f"{ended} It made nothing.",)
    files = ", ".join(artifact.path for artifact in before.artifacts)
    return (f"{ended} Made so far: {before.job_id}, {files}. {_advice(before, chain.times - chain.link + 1)}",)


def _again(retry: NextReport | None, chain: ChainLink) -> NextReport | None:
    if retry is None:
        return None
    return retry.model_copy(update={"arguments": _with_times(retry.arguments, chain.times - chain.link + 1)})


def _advice(source: Job, times: int) -> str:
    rest = f", times={times}" if times > 1 else ""
    return f"Go on with extend_video(source={source.job_id!r}{rest})."


def _with_times(arguments: dict[str, Any], times: int) -> dict[str, Any]:
    kept = {name: value for name, value in arguments.items() if name != "times"}
    return {**kept, "times": times} if times > 1 else kept


def _follow(job_id: str, reason: str) -> NextReport:
    return NextReport(tool="get_job", arguments={"job_id": job_id, "wait_seconds": WAIT_SECONDS}, reason=reason)
