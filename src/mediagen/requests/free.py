"""What the tools that cost nothing may be asked for."""

from typing import Annotated, Literal

from pydantic import Field

from mediagen.requests.fields import Backend, Model, Request, Seconds, Word


class CheckApiRequest(Request):
    """Test keys, endpoints and models. Costs nothing, ever."""

    backend: Backend | None = Field(
        None, description="Surface to test; default: the one that is set, else all that are configured."
    )
    profile: Word | None = Field(None, description="Configured project to test.")
    model: Model | None = Field(None, description="Say whether this model is available.")
    filter: Word | None = Field(None, description="List only models whose id contains this.")
    deep: bool = Field(
        False,
        description="Also let each surface check the fields of a request that cannot be carried out; never billed.",
    )


class EstimateCostRequest(Request):
    """Price of a job before it is made. Costs nothing."""

    kind: Literal["image", "video", "extension"] = Field(description="What would be made.")
    model: Model | None = Field(None, description="Google model id; default as in the paid tools.")
    image_size: Word | None = Field(None, description="For images: 512, 1K, 2K or 4K.")
    resolution: Word | None = Field(None, description="For videos: 360p, 720p, 1080p or 4k.")
    duration_seconds: Annotated[int, Field(ge=1, le=60)] | None = Field(None, description="For videos.")
    generate_audio: bool | None = Field(None, description="For videos; silent is cheaper on Veo.")
    count: Annotated[int, Field(ge=1, le=4)] | None = Field(None, description="How many. Default 1.")
    preset: Word | None = Field(None, description="Named set of values.")
    backend: Backend | None = Field(None, description="API surface.")
    profile: Word | None = Field(None, description="Configured project.")


class GetJobRequest(Request):
    """State of a job, its files and its cost. Costs nothing."""

    job_id: Word = Field(description="Id from generate_image, generate_video or extend_video.")
    wait_seconds: Seconds | None = Field(None, description="Wait up to this long for the job to end. Default 0.")


class ListJobsRequest(Request):
    """Jobs in the ledger, newest first. Costs nothing."""

    status: Word | None = Field(None, description="Only jobs in this state, or 'open'.")
    kind: Literal["image", "video"] | None = Field(None, description="Only pictures or only videos.")
    query: Word | None = Field(None, description="Only jobs whose prompt or id contains this.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(20, description="How many to return.")
    cursor: Word | None = Field(None, description="Where to go on: next_cursor of the answer before.")


class GetSpendRequest(Request):
    """Where the money went. Days and months are those of UTC, as for the spending caps. Costs nothing."""

    by: Literal["day", "model", "profile", "status", "month"] = Field("day", description="What to sum up by.")
    since: Word | None = Field(
        None,
        description="First day (2026-11-21), month (2026-11) or time (2026-11-21T15:00Z) of the span, in UTC. Default: "
        "the first of this month; with by=month, the beginning.",
    )
    until: Word | None = Field(
        None, description="Last day or month of the span, itself included, or a time, itself not. Default: now."
    )
    with_free: bool = Field(
        False, description="Also count jobs of the emulator and edits on this machine, which cost nothing."
    )


class ResolveJobRequest(Request):
    """Say what became of a paid request whose answer was never seen. Costs nothing.

    Give outcome or operation, as whoever pays found it at Google; never guess.
    """

    job_id: Word = Field(description="Id of an unconfirmed job.")
    outcome: Literal["billed", "not_billed"] | None = Field(
        None, description="What the bill says: billed counts the quote as spent, not_billed sets it free."
    )
    operation: Word | None = Field(
        None, description="Operation or interaction id found at Google: the job then goes on, and its file is fetched."
    )
    wait_seconds: Seconds | None = Field(None, description="With operation: wait up to this long. Default 0.")


class CancelJobRequest(Request):
    """Ask Google to stop a running job; what is already made is still billed."""

    job_id: Word = Field(description="Id of the job.")
