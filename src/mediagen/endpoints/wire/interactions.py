"""Clips by the Interactions API (Gemini Omni): request body and state of an interaction. Pure.

Source: https://ai.google.dev/gemini-api/docs/interactions and requests of google-genai 3.4.0 (checked 2026-11-21)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediagen.endpoints.wire.inline_media import inline_number
from mediagen.endpoints.wire.json_values import Json, child, children, count, parse_object, word
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.endpoints.wire.operation import ASK_AGAIN, REPHRASE, TEXT_LIMIT, Operation, Output, State
from mediagen.endpoints.wire.scrub import excerpt
from mediagen.endpoints.wire.source_refusals import find_source_refusal
from mediagen.errors import Billed, UnavailableError
from mediagen.jobs import JobError, Usage
from mediagen.requests import VideoParameters

EDIT_MODES = frozenset({"video_edit", "insert_objects", "remove_objects"})


def encode_video(
    parameters: VideoParameters,
    prompt: str,
    media: VideoMedia,
    *,
    stays_at_google: bool = True,
    gcs_uri: str | None = None,
) -> dict[str, Any]:
    """Make the request body of one clip, to be made in the background so that its id comes at once.

    The tags that bind pictures to their role are put before the prompt unless it has them.

    Args:
        parameters: What the clip is to be.
        prompt: What to show.
        media: Files that go in.
        stays_at_google: Whether the answer names an address in place of the clip; Vertex AI needs `gcs_uri` for that.
        gcs_uri: gs:// prefix that Google writes the clip to.
    """
    task = _task(parameters, media)
    content = _content(media)
    text = _tagged(prompt, media)
    generation_config = {
        **({"seed": parameters.seed} if parameters.seed is not None else {}),
        **({"video_config": {"task": task}} if task else {}),
    }
    delivery = {"delivery": "uri", **({"gcs_uri": gcs_uri} if gcs_uri else {})} if stays_at_google or gcs_uri else {}
    body: Json = {
        "model": parameters.model,
        "background": True,
        "store": True,  # background is refused without it
        "input": [{"type": "user_input", "content": [*content, {"type": "text", "text": text}]}] if content else text,
        "response_format": {**_response_format(parameters, task), **delivery},
        "generation_config": generation_config,
        "previous_interaction_id": media.previous_interaction_id,
    }
    return {name: value for name, value in body.items() if value}


def _task(parameters: VideoParameters, media: VideoMedia) -> str | None:
    """Name the task; None where Google finds it from the inputs, as for a first and a last frame."""
    if media.source_video or media.previous_interaction_id:
        return "edit" if parameters.mode in EDIT_MODES else "extend"
    if media.last_frame or (media.first_frame and media.references):
        return None
    if media.references:
        return "reference_to_video"
    return "image_to_video" if media.first_frame else "text_to_video"


def _response_format(parameters: VideoParameters, task: str | None) -> Json:
    response_format: Json = {"type": "video", "resolution": parameters.resolution}
    if parameters.aspect_ratio:
        response_format["aspect_ratio"] = parameters.aspect_ratio
    if task != "edit":  # an edited clip keeps the length of its source
        response_format["duration"] = f"{parameters.duration_seconds}s"
    return response_format


def _content(media: VideoMedia) -> list[Json]:
    pictures = [picture for picture in (media.first_frame, media.last_frame, *media.references) if picture]
    content = [_media_content("image", picture) for picture in pictures]
    return [*([_media_content("video", media.source_video)] if media.source_video else []), *content]


def _media_content(kind: str, media: WireMedia) -> Json:
    where = {"uri": media.uri} if media.uri is not None else {"data": media.base64}
    return {"type": kind, "mime_type": media.mime_type, **where}


def _tagged(prompt: str, media: VideoMedia) -> str:
    """The prompt with the tags that it does not have yet, before it."""
    text = _with_pictures(prompt, media)
    # The one input needs no name; among pictures the earlier clip does.
    if media.previous_interaction_id and media.references and "<PREVIOUS_VIDEO>" not in text:
        return f"<PREVIOUS_VIDEO> {text}"
    return text


def _with_pictures(prompt: str, media: VideoMedia) -> str:
    sources = [
        tag for tag, given in (("<FIRST_FRAME>", media.first_frame), ("<LAST_FRAME>", media.last_frame)) if given
    ]
    references = [f"<IMAGE_REF_{number}>" for number in range(len(media.references))]
    tags = [*sources, *references]
    # A header of the caller's may leave pictures out, as the mask, which is numbered behind his own.
    has_header = _HEADER.search(prompt) is not None
    missing = {tag for tag in tags if (f"{tag}@Image" if has_header else tag) not in prompt}
    if not missing:
        return prompt
    if tags == ["<FIRST_FRAME>"]:
        return f"<FIRST_FRAME> {prompt}".rstrip()
    wanted = missing if has_header else set(tags)
    numbered = dict(zip(tags, range(1, 1 + len(tags)), strict=True))
    headers = (
        _header(title, {tag: numbered[tag] for tag in group if tag in wanted})
        for title, group in (("Sources", sources), ("References", references))
    )
    return f"{''.join(headers)}{prompt}"


def _header(title: str, numbered: Mapping[str, int]) -> str:
    bound = " ".join(f"{tag}@Image{number}" for tag, number in numbered.items())
    return f"[# {title} {bound}] " if numbered else ""


_HEADER = re.compile(r"\[# (?:Sources|References) [^\]]*@Image\d")


def interaction_id(body: bytes) -> str:
    """Id of an interaction that was just made; empty when the answer has none."""
    return word(parse_object(body), "id")


def decode_interaction(skeleton: bytes) -> Operation:
    """Read an interaction as polled; the bytes of a clip inside it were taken out as `inline_media` does.

    Raises:
        UnavailableError: The body is not an interaction, or its inline video is damaged; polling again may help.
    """
    payload = parse_object(skeleton)
    if payload is None or not ("id" in payload or "status" in payload):
        raise UnavailableError("Google's answer about the job cannot be read.", code="unreadable_answer")
    video = next(reversed([item for item in _outputs(payload) if _is_video(item)]), {})
    interaction = _InteractionParts(
        payload=payload,
        status=word(payload, "status"),
        text="".join(word(item, "text") for item in _outputs(payload)).strip(),
        usage=_usage(payload, has_video=bool(video)),
        has_video=bool(video),
    )
    state, error = _state(interaction)
    return Operation(
        name=word(payload, "id"),
        state=state,
        outputs=(_output(video),) if state == "completed" else (),
        text=interaction.text,
        usage=interaction.usage,
        error=error,
        raw_status=excerpt(interaction.status, 60),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _InteractionParts:
    payload: Json
    status: str
    text: str
    usage: Usage | None
    has_video: bool

    @property
    def billed(self) -> Billed:
        """Whether Google charges, as far as the tokens it reports show."""
        if self.usage is None:
            return "unknown"
        if self.usage.output_video_tokens:
            return "yes"
        # A bare total does not say whether a clip is in it.
        reported = child(self.payload, "usage")
        return "no" if "output_tokens_by_modality" in reported or not self.usage.output_text_tokens else "unknown"


# Ends without a clip that have a name of their own: code, message, hint.
_ENDS = {
    "incomplete": ("interaction_incomplete", "The model stopped before the clip was finished.", ASK_AGAIN),
    "budget_exceeded": (
        "interaction_budget_exceeded",
        "Google stopped the job because its budget for it was used up.",
        "Ask for a shorter clip or a lower resolution, or look at the spending limits of the project.",
    ),
    "requires_action": ("interaction_requires_action", "The model waits for an action that no clip needs.", REPHRASE),
    "requires_continuation": (
        "interaction_requires_continuation",
        "The model ended its turn before the clip was made.",
        ASK_AGAIN,
    ),
}


def _state(parts: _InteractionParts) -> tuple[State, JobError | None]:
    if parts.has_video and (parts.status == "completed" or parts.status in _ENDS):
        return "completed", None
    match parts.status:
        case "completed":
            return _completed_without_video(parts)
        case "failed":
            return _failed(parts)
        case "cancelled" | "canceled":
            return "cancelled", JobError(
                code="cancelled", message="The job was cancelled at Google.", retryable=False, billed=parts.billed
            )
        case status if status in _ENDS:
            code, message, hint = _ENDS[status]
            return "failed", JobError(code=code, message=message, retryable=False, billed=parts.billed, hint=hint)
        case _:
            return "running", None


def _completed_without_video(parts: _InteractionParts) -> tuple[State, JobError]:
    if parts.text:
        return "filtered", JobError(
            code="refused_text_only",
            message=f'The model answered with text in place of a clip: "{excerpt(parts.text, TEXT_LIMIT)}"',
            retryable=False,
            billed=parts.billed,
            hint=REPHRASE,
        )
    return "failed", JobError(
        code="completed_without_video",
        message="Google says that the job is completed, but gave no clip.",
        retryable=False,
        billed=parts.billed,
        hint=ASK_AGAIN,
    )


def _failed(parts: _InteractionParts) -> tuple[State, JobError]:
    errors = children(parts.payload, "errors")
    errors += [found for found in (child(parts.payload, "error"),) if found]
    # Codes are bare words ("internal") or addresses (https://ai.google.dev/errors/blocked).
    codes = [word(error, "code").rstrip("/").rpartition("/")[2].lower() for error in errors]
    said = "; ".join(excerpt(word(error, "message"), TEXT_LIMIT) for error in errors if word(error, "message"))
    if any(_FILTER.search(code) for code in codes):
        return "filtered", JobError(
            code="content_filtered",
            message=f"A safety filter refused the clip. {said}".strip(),
            retryable=False,
            billed="yes" if parts.billed == "yes" else "no",
            hint=REPHRASE,
        )
    if bucket := next((_BUCKET_CODES[code] for code in codes if code in _BUCKET_CODES and _BUCKET.search(said)), None):
        return "failed", JobError(
            code=bucket,
            message=f"Google could not write the clip to Cloud Storage. {said}".strip(),
            retryable=False,
            billed="yes" if parts.billed == "yes" else "no",
            hint="Check the bucket of storage_uri and the roles of Google's service agent on it.",
        )
    if parts.billed != "yes" and (source := find_source_refusal(said)):
        message = f"{source.words}: {said}"
        return "failed", JobError(code=source.code, message=message, retryable=False, billed="no", hint=source.hint)
    named = ", ".join(excerpt(code, 60) for code in codes if code) or "no reason given"
    return "failed", JobError(
        code="generation_failed",
        message=f"Google failed to make the clip ({named}). {said}".strip(),
        retryable=any(code in _PASSING for code in codes),
        billed=parts.billed,
        hint=ASK_AGAIN,
    )


_FILTER = re.compile(r"block|safety|prohibited|content_filter|rai\b")
_BUCKET_CODES = {"not_found": "bucket_missing", "permission_denied": "bucket_forbidden"}
_BUCKET = re.compile(r"\bbucket\b|cloud storage|gs://|storage\.(?:objects|buckets)\b", re.IGNORECASE)
_PASSING = frozenset({"internal", "unavailable", "overloaded", "deadline_exceeded", "rate_limit_exceeded"})


def _outputs(payload: Json) -> list[Json]:
    steps = [step for step in children(payload, "steps") if word(step, "type") == "model_output"]
    return [item for step in steps for item in children(step, "content")] + children(payload, "outputs")


def _is_video(item: Json) -> bool:
    return word(item, "type") == "video" and bool(word(item, "uri") or word(item, "data"))


def _output(video: Json) -> Output:
    uri = word(video, "uri") or None
    inline = inline_number(video.get("data"))
    if uri is None and inline is None:
        raise UnavailableError(
            "The clip came inside the answer and cannot be read (bad base64).",
            code="unreadable_answer",
            hint="It stays at Google and is asked for again.",
            billed="yes",
        )
    return Output(uri=uri if inline is None else None, inline=inline, mime_type=word(video, "mime_type") or None)


def _usage(payload: Json, *, has_video: bool) -> Usage | None:
    usage = child(payload, "usage")
    by_modality = children(usage, "output_tokens_by_modality")
    if not by_modality and "total_output_tokens" not in usage:
        return None
    video, image = (
        sum(count(item, "tokens") for item in by_modality if word(item, "modality").lower() == modality)
        for modality in ("video", "image")
    )
    total = count(usage, "total_output_tokens") or sum(count(item, "tokens") for item in by_modality)
    if has_video and not by_modality:
        video = total
    return Usage(
        input_tokens=count(usage, "total_input_tokens"),
        output_text_tokens=max(0, total - video - image) + count(usage, "total_thought_tokens"),
        output_image_tokens=image,
        output_video_tokens=video,
    )
