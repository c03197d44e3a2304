"""Clips by Veo (`models/M:predictLongRunning`): request body and state of an operation. Pure.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation and requests of
google-genai 3.4.0 (checked 2026-11-21)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mediagen.endpoints.wire.inline_media import inline_number
from mediagen.endpoints.wire.json_values import Json, child, children, count, parse_object, word, writable
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.endpoints.wire.operation import ASK_AGAIN, REPHRASE, TEXT_LIMIT, Operation, Output, State
from mediagen.endpoints.wire.scrub import excerpt
from mediagen.endpoints.wire.source_refusals import find_source_refusal
from mediagen.endpoints.wire.support_codes import has_support_codes, in_words
from mediagen.errors import Billed, InvalidRequestError, UnavailableError
from mediagen.jobs import JobError
from mediagen.requests import VideoParameters

_ADDRESSES = ("gcsUri", "gcs_uri", "uri")
_BYTES = ("bytesBase64Encoded", "bytes_base64_encoded", "data")
# Where Google has put the clips of an operation over the years; the first three are of the Gemini API.
_PLACES = (
    ("generateVideoResponse", "generatedSamples"),
    ("generatedSamples",),
    ("predictions",),
    ("videos",),
)


def encode_veo(
    parameters: VideoParameters, prompt: str, media: VideoMedia, *, storage_uri: str | None = None
) -> dict[str, Any]:
    """Make the request body of one operation, which makes `parameters.count` clips.

    Raises:
        InvalidRequestError: An input that Veo cannot read.
    """
    if media.previous_interaction_id:
        raise InvalidRequestError(
            "Veo cannot go on from an interaction; it needs the clip itself.",
            field="source",
            hint="Give the file, or its gs:// address.",
        )
    instance: Json = {"prompt": prompt}
    for name, given in (("image", media.first_frame), ("lastFrame", media.last_frame), ("video", media.source_video)):
        if given:
            instance[name] = _media(given, name)
    if media.references:
        kind = "STYLE" if parameters.mode == "reference_style" else "ASSET"
        instance["referenceImages"] = [
            {"image": _media(picture, "reference_images"), "referenceType": kind} for picture in media.references
        ]
    return {"instances": [instance], "parameters": _parameters(parameters, storage_uri)}


def _parameters(parameters: VideoParameters, storage_uri: str | None) -> Json:
    # Named even where they are Google's defaults: the price hangs on them, and defaults change.
    found: Json = {
        "sampleCount": parameters.count,
        "durationSeconds": parameters.duration_seconds,
        "aspectRatio": parameters.aspect_ratio,
        "resolution": parameters.resolution,
        "generateAudio": parameters.generate_audio,
        "seed": parameters.seed,
        "negativePrompt": parameters.negative_prompt,
        "personGeneration": parameters.person_generation,
        "resizeMode": (parameters.resize_mode or "").upper() or None,
        "compressionQuality": (parameters.compression_quality or "").upper() or None,
        "storageUri": storage_uri,
    }
    return {name: value for name, value in found.items() if value is not None}


def _media(media: WireMedia, field: str) -> Json:
    if media.uri is None:
        return {"bytesBase64Encoded": media.base64, "mimeType": media.mime_type}
    if not media.uri.startswith("gs://"):
        raise InvalidRequestError(
            "Veo reads only files that are sent along or lie in Cloud Storage (gs://).",
            field=field,
            hint="Give a local file or a gs:// address.",
        )
    return {"gcsUri": media.uri, "mimeType": media.mime_type}


def operation_name(body: bytes) -> str:
    """Name of an operation that was just started; empty when the answer has none."""
    return word(parse_object(body), "name")


def decode_operation(skeleton: bytes) -> Operation:
    """Read an operation as polled, in any shape that Google has used; its inline clips were taken out.

    Raises:
        UnavailableError: The body is no operation, or a clip inside it is damaged; polling again may help.
    """
    payload = parse_object(skeleton)
    if payload is None or not payload.keys() & {"name", "done", "response", "error"}:
        raise UnavailableError("Google's answer about the job cannot be read.", code="unreadable_answer")
    name = word(payload, "name")
    if error := child(payload, "error"):
        state, failed = _failure(count(error, "code"), word(error, "message"))
        return Operation(name=name, state=state, error=failed, raw_status=f"error {count(error, 'code')}")
    if not payload.get("done") and "response" not in payload:
        return Operation(name=name, state="running", raw_status="running")
    return _finished(name, child(payload, "response"))


def _finished(name: str, response: Json) -> Operation:
    outputs = tuple(_output(item) for item in _samples(response))
    filtered = _Filtered.of(response)
    if not outputs:
        state, error = _nothing_made(filtered)
        return Operation(name=name, state=state, error=error, raw_status="done")
    warning = ""
    if filtered.count:
        was = "was" if filtered.count == 1 else "were"
        warning = f"{filtered.count} of {len(outputs) + filtered.count} clips {was} filtered: {filtered.words}"
    return Operation(
        name=name, state="completed", outputs=outputs, warnings=(warning,) if warning else (), raw_status="done"
    )


def _samples(response: Json) -> list[Json]:
    for *above, last in _PLACES:
        parent = response
        for name in above:
            parent = child(parent, name)
        samples = [child(item, "video") or item for item in children(parent, last)]
        if found := [sample for sample in samples if any(word(sample, name) for name in (*_ADDRESSES, *_BYTES))]:
            return found
    return []


def _output(sample: Json) -> Output:
    uri = next((word(sample, name) for name in _ADDRESSES if word(sample, name)), None)
    inline = next((found for name in _BYTES if (found := inline_number(sample.get(name))) is not None), None)
    if uri is None and inline is None:
        raise UnavailableError(
            "A clip came inside the answer and cannot be read (bad base64).",
            code="unreadable_answer",
            hint="It stays at Google and is asked for again.",
            billed="yes",
        )
    mime_type = word(sample, "mimeType") or word(sample, "mime_type") or None
    return Output(uri=uri if inline is None else None, inline=inline, mime_type=mime_type)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Filtered:
    """What the safety filter kept back."""

    count: int
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, response: Json) -> "_Filtered":
        for place in (response, child(response, "generateVideoResponse")):
            given = place.get("raiMediaFilteredReasons")
            texts = given if isinstance(given, list) else ()
            reasons = tuple(writable(text) for text in texts if isinstance(text, str))
            number = count(place, "raiMediaFilteredCount") or len(reasons)
            if number:
                return cls(count=number, reasons=reasons)
        return cls(count=0, reasons=())

    @property
    def words(self) -> str:
        """Why, once for each different reason."""
        return _said(self.reasons) or "Google gave no reason"


def _said(texts: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(in_words(excerpt(text, TEXT_LIMIT)) for text in texts if text.strip()))


def _nothing_made(filtered: _Filtered) -> tuple[State, JobError]:
    if filtered.count:
        return "filtered", _content_filtered(filtered.words)
    places = ", ".join(f"response.{'.'.join(place)}" for place in _PLACES)
    return "failed", JobError(
        code="completed_without_video",
        message=f"Google says that the job is done, but gave no clip (looked for in {places}).",
        retryable=False,
        billed="unknown",
        hint=ASK_AGAIN,
    )


def _content_filtered(words: str) -> JobError:
    # Source: https://cloud.google.com/vertex-ai/generative-ai/pricing (checked 2026-11-21)
    return JobError(
        code="content_filtered",
        message=f"A safety filter refused the clip: {words}",
        retryable=False,
        billed="no",
        hint=f"{REPHRASE} Google does not charge for filtered clips.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failure:
    """What one rpc code means for the caller."""

    code: str
    words: str
    hint: str
    retryable: bool = False
    billed: Billed = "no"


# Source: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto (checked 2026-11-21)
_INTERNAL = _Failure(
    code="generation_failed",
    words="Google failed to make the clip",
    hint=ASK_AGAIN,
    retryable=True,
    billed="unknown",
)
_FAILURES = {
    3: _Failure(code="invalid_argument", words="Google refused the request", hint="Change the arguments it names."),
    4: _INTERNAL,
    5: _Failure(
        code="not_found",
        words="Google does not find what the request names",
        hint="Check the model and the gs:// addresses.",
    ),
    7: _Failure(
        code="forbidden",
        words="Google may not do this for the project",
        hint="Check the roles of the credential and of Google's service agent in the project.",
    ),
    8: _Failure(
        code="rate_limited",
        words="The quota of the project is used up",
        hint="Try again in a few minutes.",
        retryable=True,
    ),
    9: _Failure(
        code="failed_precondition",
        words="Google cannot do this as things are",
        hint="Change what the message names.",
    ),
    13: _INTERNAL,
    14: _INTERNAL,
}
_UNKNOWN = _Failure(code="generation_failed", words="Google failed to make the clip", hint=ASK_AGAIN, billed="unknown")
_BUCKET_FAILURES = {
    5: _Failure(
        code="bucket_missing",
        words="Google does not find the bucket or the object in Cloud Storage",
        hint="Check the gs:// addresses of the inputs and of storage_uri.",
    ),
    9: _Failure(
        code="bucket_region",
        words="Google refuses the bucket because of its location",
        hint="Use a bucket in the location that the job runs in.",
    ),
    7: _Failure(
        code="bucket_forbidden",
        words="Google's service agent may not use the bucket",
        hint="Grant roles/storage.objectUser on the bucket to the Vertex AI service agent of the project "
        "(service-PROJECT_NUMBER@gcp-sa-aiplatform.iam.gserviceaccount.com).",
    ),
}
_SERVICE_AGENTS = _Failure(
    code="service_agents_provisioning",
    words="Google is still setting the project up",
    hint="Nothing was made or billed; try again in a minute or two.",
    retryable=True,
)
_CANCELLED = _Failure(code="cancelled", words="The job was cancelled at Google", hint="", billed="unknown")
_RPC_CANCELLED, _RPC_INVALID_ARGUMENT, _RPC_FAILED_PRECONDITION = 1, 3, 9

_PROVISIONING = re.compile(r"service agents are being provisioned", re.IGNORECASE)
_VIOLATION = re.compile(r"violat|usage guidelines|responsible ai", re.IGNORECASE)
_PLACE = re.compile(r"\b(?:region|location)s?\b", re.IGNORECASE)
_BUCKET = re.compile(r"gs://|cloud storage|\bbucket|storage\.(?:objects|buckets)\b|\bGCS\b", re.IGNORECASE)


def _failure(code: int, message: str) -> tuple[State, JobError]:
    said = _said([message])
    if has_support_codes(message) or (code == _RPC_INVALID_ARGUMENT and _VIOLATION.search(message)):
        return "filtered", _content_filtered(said)
    found = _CANCELLED if code == _RPC_CANCELLED else _meaning(code, message)
    return "cancelled" if found is _CANCELLED else "failed", JobError(
        code=found.code,
        message=f"{found.words} (error {code}){f': {said}' if said else '.'}",
        retryable=found.retryable,
        billed=found.billed,
        hint=found.hint,
    )


def _meaning(code: int, message: str) -> _Failure:
    if code == _RPC_FAILED_PRECONDITION and _PROVISIONING.search(message):
        return _SERVICE_AGENTS
    is_about_place = code != _RPC_FAILED_PRECONDITION or _PLACE.search(message)
    if code in _BUCKET_FAILURES and _BUCKET.search(message) and is_about_place:
        return _BUCKET_FAILURES[code]
    source = find_source_refusal(message) if code in {_RPC_INVALID_ARGUMENT, _RPC_FAILED_PRECONDITION} else None
    if source is not None:
        return _Failure(code=source.code, words=source.words, hint=source.hint)
    return _FAILURES.get(code, _UNKNOWN)
