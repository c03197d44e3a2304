"""Finds what was said to get a picture, so that it can be gone on with. Reads the ledger and what is kept beside it."""

from dataclasses import dataclass

from mediagen.errors import InvalidRequestError
from mediagen.generator.inheritance import Inherited, inherited_from_job
from mediagen.jobs import Adjustment, Artifact, Job, JobStatus
from mediagen.ledger.ledger import Ledger
from mediagen.media.sources import ARTIFACT_PREFIX
from mediagen.storage.conversations import KEPT_DAYS, Conversations, Turns

FIELD = "continue_from"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """The turns behind a picture, the model's last.

    Attributes:
        job: Job that made it.
        picture: Address of the picture.
        inherited: Values that hold when the caller says nothing else.
    """

    job: Job
    picture: str
    turns: Turns
    inherited: Inherited

    def is_understood_by(self, model: str) -> bool:
        """Whether a model can read the turns: their thought signatures speak to their own model alone."""
        return model == self.job.model

    def given_up_for(self, model: str) -> Adjustment:
        """What is told when the picture alone goes to another model."""
        return Adjustment(
            field=FIELD,
            from_value=f"the conversation with {self.job.model}",
            to_value="the picture alone, as an input picture",
            reason=f"{model} cannot read the turns of another model",
        )


async def find_conversation(source: str, *, ledger: Ledger, conversations: Conversations) -> Conversation:
    """Find the turns behind a picture that is named by its job or its artifact.

    Raises:
        JobNotFoundError: No such job or artifact.
        InvalidRequestError: It made no picture, or several, or its turns are not kept.
    """
    artifact: Artifact | None = None
    if source.startswith(ARTIFACT_PREFIX):
        artifact, job = await ledger.artifact(source.removeprefix(ARTIFACT_PREFIX))
    else:
        job = await ledger.get(source)
    _check_picture(job, artifact)
    call = next(call for call in job.calls if (artifact in call.artifacts if artifact else call.artifacts))
    turns = await conversations.read(job.job_id, call.ordinal)
    if not turns:
        raise InvalidRequestError(
            f"{FIELD} is {job.job_id}, whose conversation is not kept (any more).",
            field=FIELD,
            hint=f"Conversations are kept for {KEPT_DAYS} days. Pass the picture itself as input_images: "
            f"{job.artifacts[0].uri}",
            code="conversation_gone",
        )
    picture = (artifact or call.artifacts[0]).uri
    return Conversation(job=job, picture=picture, turns=turns, inherited=inherited_from_job(job))


def _check_picture(job: Job, artifact: Artifact | None) -> None:
    if job.kind != "image":
        raise InvalidRequestError(
            f"{FIELD} is {job.job_id}, which made a clip.", field=FIELD, hint="Use extend_video to go on with a clip."
        )
    if job.status is not JobStatus.SUCCEEDED:
        raise InvalidRequestError(
            f"{FIELD} is {job.job_id}, which is {job.status}.",
            field=FIELD,
            hint="Wait for it with get_job." if not job.status.is_terminal else "It has no picture to go on with.",
        )
    if artifact is None and len(job.artifacts) > 1:
        raise InvalidRequestError(
            f"{FIELD} is {job.job_id}, which made {len(job.artifacts)} pictures.",
            field=FIELD,
            hint=f"Name one of them: {', '.join(made.uri for made in job.artifacts)}.",
        )
