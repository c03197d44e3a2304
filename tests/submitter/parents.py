"""Servers that use a submitter and may be killed: forked from one process, so that each starts at once.

Reads lines of JSON: ``url``, ``folder`` and ``jobs``. Writes the process id of each server and, as soon as it is known,
that of its submitter.
"""

import json
import os
import sys
from pathlib import Path

import anyio

from mediagen.submitter.base import SignedRequest
from mediagen.submitter.submitter import DetachedSubmitter


async def serve(url: str, folder: Path, jobs: list[str]) -> None:
    async def send(job: str) -> None:
        headers = (("x-job", job),)
        await submitter.send(SignedRequest(url=url, headers=headers, body=b"x" * 300_000, folder=folder / f"{job}-0"))

    async with DetachedSubmitter() as submitter, anyio.create_task_group() as group:
        assert await submitter.ready()
        os.write(1, json.dumps({"server": os.getpid(), "submitter": submitter.process_id}).encode() + b"\n")
        for job in jobs:
            group.start_soon(send, job)
        await anyio.sleep_forever()


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            try:
                anyio.run(serve, order["url"], Path(order["folder"]), order["jobs"])
            finally:
                os._exit(1)


if __name__ == "__main__":
    main()
