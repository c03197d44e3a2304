"""What a clip that is continued says about how it was made: from the ledger, or from the record beside its file."""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from mediagen.errors import InvalidRequestError, JobNotFoundError
from mediagen.generator.beside import OWN_RECORD, paths_beside, read_beside
from mediagen.jobs import Job, without_own_folder
from mediagen.ledger.ids import JOB_ID
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import InputLoader
from mediagen.media.sources import ARTIFACT_PREFIX
from mediagen.routing import GEMINI_HOST
from mediagen.storage.gs_uri import parse_gs_uri
from mediagen.surfaces import LOCATION, PROJECT

FILE_ID = re.compile(r"/files/([A-Za-z0-9_-]+)(?::download)?(?:\?.*)?$")
MODEL = re.compile(r"[A-Za-z0-9][\w./@-]{0,199}", re.ASCII)
WORD = re.compile(r"[0-9A-Za-z:]{1,20}")
PROFILE = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]{1,200}")


def _is_prefix(value: str) -> bool:
    try:
        parse_gs_uri(value, "storage_uri")
    except InvalidRequestError:
        return False
    return True


def _is_model(value: str) -> bool:
    return MODEL.fullmatch(value) is not None and ".." not in value


# A record may lie beside somebody else's clip, and its values become parts of addresses and requests.
INHERITED: Mapping[str, Callable[[str], object]] = {
    "model": _is_model,
    "resolution": WORD.fullmatch,
    "aspect_ratio": WORD.fullmatch,
    "image_size": WORD.fullmatch,
    "storage_uri": _is_prefix,
    "location": LOCATION.fullmatch,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Inherited:
    """Values of the source; a prompt, a path or a key is never among them.

    Attributes:
        values: By argument.
        project: Google Cloud project that it was made with.
        profile: Configured project that it was made with.
        backend: Surface that it was made on.
        is_emulated: Whether the emulator made it, whose buckets and projects exist nowhere else.
        warnings: Why something could not be inherited, if so.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    project: str | None = None
    profile: str | None = None
    backend: str | None = None
    is_emulated: bool = False
    warnings: tuple[str, ...] = ()


NOTHING_INHERITED = Inherited()


async def inherited_from(source: str, *, ledger: Ledger, loader: InputLoader) -> Inherited:
    """Find out how the source of an extension was made; other people's clips and addresses say nothing.

    Raises:
        JobNotFoundError: No such job or artifact.
        InvalidRequestError: A path that may not be read.
    """
    if JOB_ID.fullmatch(source):
        return inherited_from_job(await _maker(await ledger.get(source), ledger))
    if source.startswith(ARTIFACT_PREFIX):
        _, job = await ledger.artifact(source.removeprefix(ARTIFACT_PREFIX))
        return inherited_from_job(await _maker(job, ledger))
    if re.match(r"https?://", source):
        file = FILE_ID.search(source)
        made = await ledger.find_remote(file[1]) if file else None
        return inherited_from_job(made[1]) if made and _is_of(made[1], source) else NOTHING_INHERITED
    path = await loader.find_local(source, "source")
    if path is None:
        return NOTHING_INHERITED
    if edited := await anyio.to_thread.run_sync(_edited, path):
        # The record may have come with the file, from another machine.
        with contextlib.suppress(JobNotFoundError):
            return inherited_from_job(await _maker(await ledger.get(edited), ledger))
    return await anyio.to_thread.run_sync(_beside, path)


async def _maker(job: Job, ledger: Ledger) -> Job:
    """The job that made a clip; of a clip that was edited on this machine, the one that made what was edited."""
    while job.backend == "local" and job.parent_job_id:
        job = await ledger.get(job.parent_job_id)
    return job


def _edited(path: Path) -> str | None:
    """Job that made what an edit of this machine was made of, if the record beside the file says so."""
    record = read_beside(path.with_suffix(".json"))
    if isinstance(record, str) or record.get("backend") != "local":
        return None
    parent = str(record.get("parent_job_id"))
    return parent if JOB_ID.fullmatch(parent) else None


def _is_of(job: Job, address: str) -> bool:
    """Whether an address is where a job was sent to; another host may use the name of one of its files."""
    return any(address.startswith(f"{host.rstrip('/')}/") for host in (GEMINI_HOST, job.base_url) if host)


def inherited_from_job(job: Job) -> Inherited:
    """Values of a job of our own ledger."""
    values, _ = _usable(job.effective)
    return _made_on(job.backend, values, job.effective.get("project"), job.profile)


def _beside(path: Path) -> Inherited:
    """Read the record beside a file: our own sidecar, or that of an earlier tool."""
    records = paths_beside(path)
    trouble = []
    for record in records:
        values = read_beside(record)
        found = _of_record(values, record) if isinstance(values, dict) else values
        if isinstance(found, Inherited):
            return found
        if found:
            trouble.append(f"Nothing could be taken over from {record.name} beside the source: {found}.")
    missing = f"Beside the source lies no record of how it was made ({records[-1].name}); nothing could be taken over."
    return Inherited(warnings=tuple(trouble or [missing]))


def _of_record(found: Mapping[str, Any], record: Path) -> Inherited | str:
    is_own = str(found.get("version", "")).startswith(OWN_RECORD)
    said = found.get("generation" if is_own else "command_args")
    if not isinstance(said, dict):
        return "it is no record of a clip"
    values, unusable = _usable(said)
    name = "project" if is_own else "project_id"
    project = _text(said, name, PROJECT, unusable)
    profile = _text(said, "profile", PROFILE, unusable) if is_own else None
    # Earlier tools do not say it, but only Vertex AI writes to buckets.
    backend = found.get("backend") if is_own else "vertex" if "storage_uri" in values else None
    warnings = [f"{record.name} beside the source has no usable {name}; it was left out." for name in unusable]
    # These decide who pays and where the clip goes, and the record may have come with somebody else's clip.
    decisive = {"project": project, "storage_uri": values.get("storage_uri")}
    told = ", ".join(f"{name} {value}" for name, value in decisive.items() if value)
    warnings += [f"{record.name} beside the source names {told}, which holds unless you name another."] if told else []
    return _made_on(backend, values, project, profile, *warnings)


def _made_on(
    backend: object, values: Mapping[str, str], project: str | None, profile: str | None, *warnings: str
) -> Inherited:
    is_emulated = backend == "emulator"
    return Inherited(
        values=values,
        project=None if is_emulated else project,
        profile=profile,
        backend=str(backend) if backend in ("gemini", "vertex") else None,
        is_emulated=is_emulated,
        warnings=warnings,
    )


def _usable(said: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The values to take over, and the names of those that are damaged."""
    given = {name: said[name] for name in INHERITED if said.get(name) not in (None, "")}
    values = {name: value for name, value in given.items() if isinstance(value, str) and INHERITED[name](value)}
    if "storage_uri" in values:
        values["storage_uri"] = without_own_folder(values["storage_uri"])
    return values, [name for name in given if name not in values]


def _text(said: Mapping[str, Any], name: str, pattern: re.Pattern[str], unusable: list[str]) -> str | None:
    value = said.get(name)
    if value in (None, ""):
        return None
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    unusable.append(name)
    return None
