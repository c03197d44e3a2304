"""What a clip that is continued says about how it was made: from the ledger, or from the record beside its file."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from mediagen.jobs import Job
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import InputLoader

ARTIFACT_URI = "mediagen://artifacts/"
JOB_ID = re.compile(r"job_[0-9a-z]+")
RECORD_BYTES = 1_000_000
OWN_RECORD = "mediagen.sidecar."
# Of earlier tools: the record is named after the time in the name of the file, not after the file.
TIMESTAMP = re.compile(r"\d{8}_\d{6}")
INHERITED = ("model", "resolution", "aspect_ratio", "storage_uri", "location")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inherited:
    """Values of the source; a prompt, a path or a key is never among them.

    Attributes:
        values: By argument.
        project: Google Cloud project that it was made with.
        profile: Configured project that it was made with.
        backend: Surface that it was made on.
        warnings: Why nothing could be inherited, if so.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    project: str | None = None
    profile: str | None = None
    backend: str | None = None
    warnings: tuple[str, ...] = ()


NOTHING_INHERITED = Inherited()


async def inherited_from(source: str, *, ledger: Ledger, loader: InputLoader) -> Inherited:
    """Find out how the source of an extension was made; other people's clips and addresses say nothing.

    Raises:
        JobNotFoundError: No such job or artifact.
        InvalidRequestError: A path that may not be read.
    """
    if JOB_ID.fullmatch(source):
        return _of_job(await ledger.get(source))
    if source.startswith(ARTIFACT_URI):
        _, job = await ledger.artifact(source.removeprefix(ARTIFACT_URI))
        return _of_job(job)
    path = await loader.find_local(source, "source")
    return NOTHING_INHERITED if path is None else await anyio.to_thread.run_sync(_beside, path)


def _of_job(job: Job) -> Inherited:
    return Inherited(
        values=_kept(job.effective),
        project=job.effective.get("project"),
        profile=job.profile,
        backend=None if job.backend == "emulator" else job.backend,
    )


def _beside(path: Path) -> Inherited:
    """Read the record beside a file: our own sidecar, or that of an earlier tool."""
    record = path.with_suffix(".json")
    if not record.is_file():
        timestamp = TIMESTAMP.search(path.name)
        if timestamp is None:
            return NOTHING_INHERITED
        record = path.with_name(f"metadata_{timestamp[0]}.json")
    try:
        if record.stat().st_size > RECORD_BYTES:
            return _unreadable(record, "it is larger than 1 MB")
        found = json.loads(record.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return _unreadable(record, "there is none")
    except OSError as error:
        return _unreadable(record, error.strerror or type(error).__name__)
    except (ValueError, RecursionError):
        return _unreadable(record, "it is not JSON")
    if not isinstance(found, dict):
        return _unreadable(record, "it is no record of a clip")
    return _of_record(found, record)


def _of_record(found: Mapping[str, Any], record: Path) -> Inherited:
    is_own = str(found.get("version", "")).startswith(OWN_RECORD)
    values = found.get("generation" if is_own else "command_args")
    if not isinstance(values, dict):
        return _unreadable(record, "it is no record of a clip")
    project = values.get("project" if is_own else "project_id")
    backend = found.get("backend") if is_own else None
    return Inherited(
        values=_kept(values),
        project=project if isinstance(project, str) and project else None,
        backend=backend if backend in {"gemini", "vertex"} else None,
    )


def _kept(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: values[name] for name in INHERITED if isinstance(values.get(name), str) and values[name]}


def _unreadable(record: Path, why: str) -> Inherited:
    return Inherited(warnings=(f"Nothing could be taken over from {record.name} beside the source: {why}.",))
