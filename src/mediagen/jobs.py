"""Values of a paid job: the job, its paid calls, its files and its money. No I/O."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from mediagen.errors import Billed, MediaGenError, RateLimitError, UnavailableError
from mediagen.surfaces import Surface as Surface

Kind = Literal["image", "video"]
JobSurface = Surface | Literal["local"]
Api = Literal["generate_content", "batch_generate_content", "interactions", "predict_long_running"]
Origin = Literal["explicit", "source", "profile", "environment", "default"]


class JobStatus(StrEnum):
    """State of a job and of each of its paid calls."""

    SUBMITTING = "submitting"  # the row is durable; the paid request may or may not have been sent
    RUNNING = "running"  # Google gave an operation name and works on it
    DOWNLOADING = "downloading"  # made and billed; the file is not here yet
    SUCCEEDED = "succeeded"  # the file is here
    FAILED = "failed"  # Google refused or failed, or the request never left
    FILTERED = "filtered"  # a safety filter refused it
    CANCELLED = "cancelled"  # cancelled at Google on the caller's wish
    UNCONFIRMED = "unconfirmed"  # sent, no answer seen: may be billed, never sent again by us
    EXPIRED = "expired"  # made, but gone from Google before it could be downloaded

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in OPEN_STATUSES


# Longer, and whoever asked no longer expects to pay for more; Google keeps what a link goes on from about as long.
CHAIN_RESUMED_WITHIN = timedelta(hours=24)
# Codes of ends that the user or an empty bucket decided, as the answer was never seen.
ENDED_WITHOUT_ANSWER = frozenset({"not_made", "resolved_billed", "resolved_not_billed"})
OPEN_STATUSES = frozenset({JobStatus.SUBMITTING, JobStatus.RUNNING, JobStatus.DOWNLOADING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """Price before the call, in US dollars, for the whole job.

    Attributes:
        usd: Expected price, or None when no price is known.
        basis: How it was computed, in words ("8 s x $0.07 at 720p").
        as_of: Date of the price, ISO 8601.
        certainty: Whether Google published the price or it was inferred.
    """

    usd: Decimal | None
    min_usd: Decimal | None
    max_usd: Decimal | None
    basis: str
    as_of: str
    source: str
    certainty: Literal["published", "inferred", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """Price after the call, in US dollars."""

    usd: Decimal | None
    basis: str
    certainty: Literal["exact", "estimated", "unknown"]
    billed: Billed


@dataclass(frozen=True, kw_only=True, slots=True)
class Adjustment:
    """One value that was changed before sending, and why."""

    field: str
    from_value: Any
    to_value: Any
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class JobError:
    """Why a job or a paid call ended without a file.

    Attributes:
        retry_after: Seconds that Google asked to wait before the next call, or None.
    """

    code: str
    message: str
    retryable: bool
    billed: Billed
    hint: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One file that a job produced and that is stored here."""

    artifact_id: str
    path: str
    mime_type: str
    size_bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    has_audio: bool | None = None
    gcs_uri: str | None = None

    @property
    def uri(self) -> str:
        """Address of the file for MCP clients."""
        return f"mediagen://artifacts/{self.artifact_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens that Google reports for one call."""

    input_tokens: int = 0
    output_text_tokens: int = 0
    output_image_tokens: int = 0
    output_video_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidCall:
    """One paid request of a job: one POST, one operation, as many files as it has samples.

    Attributes:
        samples: Files that are asked for in this one request.
        operation: Google's operation or interaction name once known.
        remote_uris: Where the files are kept until `expires_at`, in Google's order.
        artifacts: The files that are stored here, in the same order.
        attempt: Token of the one who may have sent it; None when certainly nobody has.
    """

    job_id: str
    ordinal: int
    status: JobStatus
    samples: int = 1
    operation: str | None = None
    remote_uris: tuple[str, ...] = ()
    expires_at: datetime | None = None
    usage: Usage | None = None
    charge: Charge | None = None
    error: JobError | None = None
    artifacts: tuple[Artifact, ...] = ()
    warnings: tuple[str, ...] = ()
    attempt: str | None = None

    @property
    def is_answer_missing(self) -> bool:
        """Whether it counts as it does only because nobody saw the answer to the paid request: that would decide."""
        if self.status is JobStatus.UNCONFIRMED:
            return True
        return self.status is JobStatus.FAILED and self.error is not None and self.error.code in ENDED_WITHOUT_ANSWER


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainLink:
    """Place of a job in a chain of extensions, each of which goes on from the result before.

    Attributes:
        chain_id: Id of the job that is the first link.
        link: From 1.
        times: How many links the chain is to have.
        stopped: Why no further link is made after this one, if that is decided.
    """

    chain_id: str
    link: int
    times: int
    stopped: str | None = None

    @property
    def is_last(self) -> bool:
        """Whether the chain is complete with it."""
        return self.link >= self.times


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One request of a caller as the ledger keeps it.

    Attributes:
        requested: What the caller asked for, as given.
        effective: What is sent, after defaults and adjustments.
        origins: Where each effective value comes from.
        endpoint: API surface whose protocol is spoken; ``local`` for what was made on this machine.
        base_url: Address of the API the job was sent to, so that it is polled there after a restart.
        profile: Configured project whose credentials sent it.
        chain: Its place, when it is one of several extensions that were asked for at once.
        fence: How often it was claimed; a step that was begun under an earlier claim changes nothing any more.
        due_at: No step is due before this moment.
        note: What keeps it from going on.
        failures: How many steps failed one after another.
        fingerprint: The same for two requests that ask for the same; None where none is the same.
        principal: Whose it is on a server that several people share; None is whoever owns the machine.
    """

    job_id: str
    kind: Kind
    mode: str
    backend: str
    endpoint: JobSurface
    base_url: str
    model: str
    created_at: datetime
    updated_at: datetime
    requested: dict[str, Any]
    effective: dict[str, Any]
    origins: dict[str, Origin]
    quote: Quote
    output_dir: str
    calls: tuple[PaidCall, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    warnings: tuple[str, ...] = ()
    output_name: str | None = None
    request_id: str | None = None
    profile: str | None = None
    parent_job_id: str | None = None
    input_files: dict[str, Any] = field(default_factory=dict)
    estimated_seconds: float = 60.0
    chain: ChainLink | None = None
    fence: int = 0
    due_at: datetime | None = None
    note: str | None = None
    failures: int = 0
    fingerprint: str | None = None
    principal: str | None = None

    @property
    def surface(self) -> Surface:
        """API surface that a job was sent to; nothing asks it of a job of this machine, which has none."""
        assert self.endpoint != "local"
        return self.endpoint

    @property
    def is_economy(self) -> bool:
        """Whether its calls are batches at Google, which cost half and may take a day."""
        return bool(self.effective.get("economy"))

    @property
    def status(self) -> JobStatus:
        """State of the whole: open while any call is, then the best that a call reached."""
        states = {call.status for call in self.calls}
        for status in _STATUS_PRECEDENCE:
            if status in states:
                return status
        return JobStatus.FAILED

    @property
    def is_complete(self) -> bool:
        """Whether each of its calls has its files and no link follows it, so that nothing more comes of it."""
        return self.chain is None and all(call.status is JobStatus.SUCCEEDED for call in self.calls)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Files of the job, in the order of its calls."""
        return tuple(artifact for call in self.calls for artifact in call.artifacts)

    @property
    def error(self) -> JobError | None:
        """Why the job has no file; None while it may still get one."""
        if not self.status.is_terminal or self.status is JobStatus.SUCCEEDED:
            return None
        return next((call.error for call in self.calls if call.status is self.status and call.error), None)


# Stands for the id of a job that has none yet.
JOB_FOLDER = "(job id)"
_OWN_FOLDER = re.compile(r"/(?:job_[0-9a-z]{26}|\(job id\))/?\Z")


def own_folder(storage_uri: str, job_id: str = JOB_FOLDER) -> str:
    """The folder of one job below the gs:// prefix that was asked for: what lies in it was made by that job."""
    return f"{storage_uri.removesuffix('/')}/{job_id}/"


def folder_of_call(folder: str, ordinal: int, *, calls: int) -> str:
    """The folder of one paid call: that of its job, or where there are several, one of its own in it."""
    return folder if calls == 1 else f"{folder}{ordinal}/"


def batch_display_name(job_id: str, ordinal: int) -> str:
    """By which the batch of a paid call is found among all of its project, also when its own name was never told."""
    return f"mediagen-{job_id}-{ordinal}"


def without_own_folder(storage_uri: str) -> str:
    """The prefix that was asked for, of one that may name the folder of a job."""
    found = _OWN_FOLDER.search(storage_uri)
    return storage_uri[: found.start() + 1] if found else storage_uri


def bucket_folder(job: Job, call: PaidCall) -> str | None:
    """Where Google writes what a call makes, and nothing else does; None when there is no such folder."""
    folder = job.effective.get("storage_uri")
    if not isinstance(folder, str) or not folder.endswith(f"/{job.job_id}/"):
        return None
    return folder_of_call(folder, call.ordinal, calls=len(job.calls))


_STATUS_PRECEDENCE = (
    JobStatus.SUBMITTING,
    JobStatus.RUNNING,
    JobStatus.DOWNLOADING,
    JobStatus.SUCCEEDED,
    JobStatus.UNCONFIRMED,
    JobStatus.EXPIRED,
    JobStatus.FILTERED,
    JobStatus.CANCELLED,
    JobStatus.FAILED,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a job is; `fraction` is an estimate until it is 1.0."""

    fraction: float
    message: str
    elapsed_seconds: float
    estimated_seconds: float


def job_error(error: MediaGenError) -> JobError:
    """Keep an error as a value."""
    return JobError(
        code=error.code,
        message=error.message,
        retryable=error.retryable,
        billed=error.billed,
        hint=error.hint,
        retry_after=error.retry_after if isinstance(error, RateLimitError | UnavailableError) else None,
    )


def public_address(address: str | None) -> str | None:
    """An address without its query, which may hold a signature; ``alt=media`` says nothing and stays."""
    if address is None:
        return None
    head, mark, query = address.partition("?")
    return head + (f"?{query}" if query == "alt=media" else "?…" if mark else "")
