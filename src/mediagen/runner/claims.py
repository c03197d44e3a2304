"""Who fetches the files of a call, so that two processes do not write the same."""

from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

import anyio.to_thread

from mediagen.jobs import Job, PaidCall
from mediagen.storage.local import Claims


def claims_on(job: Job, call: PaidCall) -> Claims:
    """Who fetches the files of a call."""
    return Claims(directory=Path(job.output_dir), key=f"{job.job_id}-{call.ordinal}")


async def give_back(claims: Claims, taken: Iterable[int], cleared: Collection[int] = ()) -> None:
    """Release claims also when this process is told to stop."""
    with anyio.CancelScope(shield=True):
        for number in taken:
            await anyio.to_thread.run_sync(partial(claims.release, number, is_cleared=number in cleared))
