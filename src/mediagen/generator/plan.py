"""Everything about a job that is known before it costs money."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from mediagen.catalog import Api, ModelSpec
from mediagen.generator.policy import Project
from mediagen.jobs import JOB_FOLDER, Adjustment, Job, Kind, Origin, Quote, public_address
from mediagen.media.inputs import InputMedia
from mediagen.requests import GenerationRequest, ImageParameters, VideoParameters
from mediagen.routing import Route
from mediagen.storage.gs_uri import object_uri

SHOWN_CHARACTERS = 200
TO_BE_UPLOADED = "(uploaded when the job is sent)"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedLink:
    """Place of a job in a chain of extensions.

    Attributes:
        quote: What has to be approved: of the first link the whole chain, of a later one all up to it.
        before: The link that is gone on with; None for the first.
    """

    times: int
    quote: Quote
    number: int = 1
    before: Job | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A validated, priced and routed request.

    Attributes:
        samples: Files that each paid call makes.
        bodies: Request body of each paid call; holds `TO_BE_UPLOADED` for a file of the API's own store.
        upload: Local video that has to be at Google before a body can be sent.
        link: Its place, when it is one of several extensions that were asked for at once.
        parameters: What is sent, as it was priced; with `spec`, the model, to find out what else could be sent.
        inputs_uri: gs:// prefix under which `upload` goes; None is the file store of the API.
        fingerprint: What makes out the wish, once it is known.
    """

    kind: Kind
    mode: str
    model: str
    api: Api
    project: Project
    route: Route
    samples: tuple[int, ...]
    requested: dict[str, Any]
    effective: dict[str, Any]
    origins: dict[str, Origin]
    quote: Quote
    bodies: tuple[dict[str, Any], ...]
    estimated_seconds: float
    parameters: ImageParameters | VideoParameters
    spec: ModelSpec
    upload: InputMedia | None = None
    inputs_uri: str | None = None
    link: PlannedLink | None = None
    adjustments: tuple[Adjustment, ...] = ()
    warnings: tuple[str, ...] = ()
    parent_job_id: str | None = None
    fingerprint: str | None = None
    input_files: dict[str, Any] = field(default_factory=dict)

    @property
    def is_economy(self) -> bool:
        """Whether it is made in batches, at half the price."""
        return self.api == "batch_generate_content"


def as_requested(request: BaseModel) -> dict[str, Any]:
    """What the caller said, with large inline data shortened."""
    given = request.model_dump(mode="json", exclude_unset=True)
    return {name: value if name in _WORDS else _shorten(value) for name, value in given.items()}


def origins_told(plan: Plan, request: GenerationRequest) -> dict[str, Origin]:
    """Where the values come from; those of an earlier job's record were not said by the caller."""
    taken = request.from_record
    return {
        name: "source" if origin == "explicit" and name in taken else origin for name, origin in plan.origins.items()
    }


def shorten_data(value: Any) -> Any:
    """The same structure with base64 payloads replaced by their length."""
    if isinstance(value, Mapping):
        return {name: _payload(item) if name in _PAYLOADS else shorten_data(item) for name, item in value.items()}
    return [shorten_data(item) for item in value] if isinstance(value, list) else value


# A prompt may begin like an address; a chain needs it again, letter by letter.
_WORDS = frozenset({"prompt", "negative_prompt"})
_PAYLOADS = frozenset({"data", "bytesBase64Encoded"})
# Where the words of a prompt stand in a body.
_SAID = frozenset({"prompt", "negativePrompt", "text", "input"})


def uploaded_uri(inputs_uri: str, upload: InputMedia) -> str:
    """Address of a local video in a bucket; named by its contents, so that the same video is sent once."""
    return object_uri(inputs_uri, f"{upload.sha256}.mp4")


def with_upload(value: Any, uri: str) -> Any:
    """The same body with the address of the uploaded file in its place."""
    if isinstance(value, Mapping):
        return {name: with_upload(item, uri) for name, item in value.items()}
    if isinstance(value, list):
        return [with_upload(item, uri) for item in value]
    return uri if value == TO_BE_UPLOADED else value


def in_own_folder(plan: Plan, job_id: str) -> Plan:
    """The plan with the folder of a bucket named after the job, which has its id only when it is sent."""
    planned = plan.effective.get("storage_uri")
    if planned is None:
        return plan
    named = planned.replace(f"/{JOB_FOLDER}/", f"/{job_id}/")
    return dataclasses.replace(
        plan,
        effective={**plan.effective, "storage_uri": named},
        adjustments=tuple(
            dataclasses.replace(change, to_value=named) if change.to_value == planned else change
            for change in plan.adjustments
        ),
        bodies=tuple(_renamed(body, planned, named) for body in plan.bodies),
    )


def _renamed(value: Any, planned: str, named: str) -> Any:
    if isinstance(value, Mapping):
        return {name: item if name in _SAID else _renamed(item, planned, named) for name, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, planned, named) for item in value]
    is_address = isinstance(value, str) and value.startswith(planned)
    return named + value[len(planned) :] if is_address else value


def without_nones(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values without those that are absent."""
    return {name: value for name, value in values.items() if value is not None}


def _payload(value: Any) -> Any:
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return f"[BASE64_DATA: {len(value)} chars, ~{len(value) * 3 // 4} bytes]"
    return value


def _shorten(value: Any) -> Any:
    if isinstance(value, list):
        return [_shorten(item) for item in value]
    # The names of schemes may be written in capitals, too.
    if isinstance(value, str) and value[:5].lower() == "data:" and len(value) > SHOWN_CHARACTERS:
        return f"{value[:40]}… ({len(value)} characters)"
    return public_address(value) if isinstance(value, str) and re.match(r"(?i)https?://", value) else value
