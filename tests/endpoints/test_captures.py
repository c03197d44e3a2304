"""Walks the requests that Google's own SDK sends: ours for the same wish are equal, or it is written down why not."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mediagen.endpoints.base import BodyEncoder
from mediagen.endpoints.wire.body import GeminiBodies, VertexBodies
from mediagen.endpoints.wire.media import VideoMedia, WireMedia
from mediagen.requests import ImageParameters, VideoParameters

WIRE = Path(__file__).parent / "wire"
SURFACES: dict[str, BodyEncoder] = {"gemini": GeminiBodies(), "vertex": VertexBodies(), "express": VertexBodies()}

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(40)
FRAME = WireMedia(mime_type="image/png", data=PNG)
CLIP = WireMedia(mime_type="video/mp4", data=MP4)
CLIP_IN_BUCKET = WireMedia(mime_type="video/mp4", uri="gs://bucket/in.mp4")
PICTURE_IN_BUCKET = WireMedia(mime_type="image/png", uri="gs://bucket/in.png")
CLIP_IN_STORE = WireMedia(mime_type="video/mp4", uri="https://generativelanguage.googleapis.com/v1beta/files/abc123")
CAMEL = {"mime_type": "mimeType", "file_uri": "fileUri", "thinking_level": "thinkingLevel"}


@dataclass(frozen=True, kw_only=True)
class Differs:
    """Why our body is another one, and how: a merge patch (RFC 7396) from the captured body to ours."""

    reason: str
    patch: dict[str, Any]


def image(surface: str, prompt: str, *images: WireMedia, **changes: Any) -> dict[str, Any]:
    values = {"model": "gemini-nano-banana-2.1", "mode": "text_to_image", "image_size": "1K", **changes}
    return SURFACES[surface].build_image(ImageParameters(**values), prompt, images)


def omni(
    surface: str, prompt: str, media: VideoMedia | None = None, storage_uri: str | None = None, **changes: Any
) -> dict[str, Any]:
    values = {"model": "gemini-omni-1.2-flash", "mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    parameters = VideoParameters(**{**values, **changes})
    return SURFACES[surface].build_video(parameters, prompt, media or VideoMedia(), storage_uri=storage_uri)


def veo(
    prompt: str = "a", media: VideoMedia | None = None, storage_uri: str | None = None, **changes: Any
) -> dict[str, Any]:
    values = {"model": "veo-3.1-generate-001", "mode": "text_to_video", "duration_seconds": 8, "resolution": "720p"}
    parameters = VideoParameters(**{**values, **changes})
    return VertexBodies().build_video(
        parameters, prompt, media or VideoMedia(), api="predict_long_running", storage_uri=storage_uri
    )


def image_cases(surface: str) -> dict[str, dict[str, Any]]:
    other = WireMedia(mime_type="image/jpeg", data=PNG)
    return {
        "image_text_only": image(surface, "a red cube"),
        "image_config": image(surface, "a red cube", image_size="2K", aspect_ratio="16:9"),
        "image_multi_input": image(surface, "put A next to B", FRAME, other, aspect_ratio="1:1"),
    }


def omni_cases(surface: str) -> dict[str, dict[str, Any]]:
    frames = VideoMedia(first_frame=FRAME, last_frame=FRAME)
    clip = VideoMedia(source_video=CLIP_IN_STORE if surface == "gemini" else CLIP_IN_BUCKET)
    bucket = None if surface == "gemini" else "gs://bucket/out/"
    references = VideoMedia(references=(FRAME, FRAME, FRAME))
    earlier = VideoMedia(previous_interaction_id="v1_abc")
    anime = "make it anime"
    return {
        "omni_text_inline": omni(surface, "a cat"),
        "omni_text_background_uri": omni(
            surface, "a cat", None, bucket, seed=42, aspect_ratio="9:16", resolution="1080p"
        ),
        "omni_image_to_video": omni(
            surface, "the cube spins", VideoMedia(first_frame=FRAME), mode="image_to_video", duration_seconds=5
        ),
        "omni_first_last": omni(surface, "morph", frames, mode="first_last_frames"),
        "omni_references": omni(surface, "together", references, mode="reference_asset"),
        "omni_edit_video_bytes": omni(surface, anime, VideoMedia(source_video=CLIP), mode="video_edit"),
        "omni_edit_video_uri": omni(surface, f"{anime}. Keep everything else the same.", clip, mode="video_edit"),
        "omni_extend_previous": omni(surface, "Extend this video: the sun sets.", earlier, mode="video_extension"),
        "omni_extend_uri": omni(surface, "Continue the scene.", clip, mode="video_extension", duration_seconds=10),
    }


def veo_cases() -> dict[str, dict[str, Any]]:
    first = VideoMedia(first_frame=FRAME)
    both = VideoMedia(first_frame=FRAME, last_frame=FRAME)
    return {
        "veo_text": veo("a cat"),
        "veo_text_min_config": veo(
            "a cat", aspect_ratio="16:9", resolution="1080p", person_generation="allow_adult", negative_prompt="blur"
        ),
        "veo_everything": veo(
            "move",
            both,
            "gs://b/o/",
            count=4,
            seed=42,
            aspect_ratio="16:9",
            resolution="4k",
            person_generation="allow_all",
            negative_prompt="blur",
            compression_quality="optimized",
            resize_mode="crop",
        ),
        "veo_image": veo("move", first, aspect_ratio="9:16"),
        "veo_image_gcs": veo("move", VideoMedia(first_frame=PICTURE_IN_BUCKET)),
        "veo_first_last": veo("morph", both),
        "veo_ref_asset": veo("together", VideoMedia(references=(FRAME, FRAME, FRAME)), mode="reference_asset"),
        "veo_ref_style": veo("in style", VideoMedia(references=(FRAME,)), mode="reference_style"),
        "veo_extend_bytes": veo("continue", VideoMedia(source_video=CLIP), duration_seconds=7),
        "veo_extend_uri": veo("continue", VideoMedia(source_video=CLIP_IN_BUCKET), duration_seconds=7),
        "veo_compression": veo(compression_quality="lossless"),
        "veo_generate_audio": veo(),
        "veo_output_gcs": veo(storage_uri="gs://bucket/out/"),
        "veo_resize_mode": veo("a", first, resize_mode="pad"),
        "veo_seed": veo(seed=42),
    }


def all_cases() -> dict[str, dict[str, Any]]:
    found = {f"{name}__vertex": body for name, body in veo_cases().items()}
    for surface in SURFACES:
        cases = {**image_cases(surface), **omni_cases(surface)}
        found |= {f"{name}__{surface}": body for name, body in cases.items()}
    store = WireMedia(mime_type="image/png", uri="https://generativelanguage.googleapis.com/v1beta/files/abc123")
    in_bucket = WireMedia(mime_type="image/png", uri="gs://bucket/a.png")
    full = {"seed": 7, "aspect_ratio": "21:9", "search_grounding": True}
    return {
        **found,
        "image_file_uri__gemini": image("gemini", "edit", store),
        "image_gcs_uri__vertex": image("vertex", "edit", in_bucket),
        "image_full_config__gemini": image("gemini", "x", image_size="512", thinking_level="minimal", **full),
        "image_full_config__vertex": image(
            "vertex", "x", image_size="4K", thinking_level="high", person_generation="allow_adult", **full
        ),
    }


CASES = all_cases()

SIZE_IS_NAMED = "The size of a picture decides its price, so it is always named."
IN_BACKGROUND = "A clip is made in the background, so that its id comes at once; its form is always named."
NO_LABELS = "Labels are not sent."
FORM_IS_NAMED = "Number, length, resolution and sound of a clip decide its price, so they are always named."

SIZE = {"generationConfig": {"imageConfig": {"imageSize": "1K"}}}
SIZE_ALONE = {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"imageSize": "1K"}}}
ONE_CLIP = {"sampleCount": 1, "durationSeconds": 8, "resolution": "720p", "generateAudio": True}
NO_SAFETY: dict[str, Any] = {"safetySettings": None, "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}


def omni_differences(surface: str) -> dict[str, Differs]:
    format_ = {"type": "video", "resolution": "720p", **({"delivery": "uri"} if surface == "gemini" else {})}
    background = {"background": True, "store": True}
    durations = {
        "omni_first_last": {"duration": "8s"},
        "omni_references": {"duration": "8s"},
        "omni_extend_previous": {"duration": "8s"},
        "omni_edit_video_bytes": {},
        "omni_edit_video_uri": {},
        "omni_image_to_video": {"duration": "5s"},
        "omni_extend_uri": {"duration": "10s"},
    }
    found = {
        name: Differs(reason=IN_BACKGROUND, patch={**background, "response_format": {**format_, **duration}})
        for name, duration in durations.items()
    }
    task = {"generation_config": {"video_config": {"task": "text_to_video"}}}
    inline = {**background, **task, "response_format": {**format_, "duration": "8s"}}
    found["omni_text_inline"] = Differs(reason=IN_BACKGROUND, patch=inline)
    found["omni_text_background_uri"] = Differs(reason=NO_LABELS, patch={"labels": None})
    return found


def all_differences() -> dict[str, Differs]:
    found: dict[str, Differs] = {}
    for surface in SURFACES:
        found[f"image_text_only__{surface}"] = Differs(reason=SIZE_IS_NAMED, patch=SIZE_ALONE)
        found[f"image_multi_input__{surface}"] = Differs(reason=SIZE_IS_NAMED, patch=SIZE)
        found |= {f"{name}__{surface}": differs for name, differs in omni_differences(surface).items()}
    for name in veo_cases():
        found[f"{name}__vertex"] = Differs(reason=FORM_IS_NAMED, patch={"parameters": ONE_CLIP})
    for name in ("veo_extend_bytes__vertex", "veo_extend_uri__vertex"):
        found[name] = Differs(reason=FORM_IS_NAMED, patch={"parameters": {**ONE_CLIP, "durationSeconds": 7}})
    min_config: dict[str, Any] = {"parameters": {"generateAudio": True}}
    unsent: dict[str, Any] = {"labels": None, "parameters": {"pubsubTopic": None, "enhancePrompt": None}}
    without_settings: dict[str, Any] = {**NO_SAFETY, "labels": None}
    without_settings["generationConfig"] = {
        "responseModalities": ["TEXT", "IMAGE"],
        "temperature": None,
        "candidateCount": None,
        "imageConfig": {"imageOutputOptions": None},
    }
    return found | {
        "image_file_uri__gemini": Differs(reason=SIZE_IS_NAMED, patch=SIZE),
        "image_gcs_uri__vertex": Differs(reason=SIZE_IS_NAMED, patch=SIZE),
        "image_full_config__gemini": Differs(
            reason="Safety settings are left to Google, and the model may always say a word.", patch=NO_SAFETY
        ),
        "image_full_config__vertex": Differs(
            reason="As for the Gemini API; besides, nobody can ask us for the other fields, and no labels are sent.",
            patch=without_settings,
        ),
        "veo_text_min_config__vertex": Differs(reason=FORM_IS_NAMED, patch=min_config),
        "veo_everything__vertex": Differs(
            reason="Labels are not sent; we poll and need no topic; the prompt is sent as it was given.", patch=unsent
        ),
    }


EXCEPTIONS = all_differences()

NO_LIVE_MODEL = "No model that still lives takes it."
NOT_OFFERED = "Nobody can ask us for it."
NO_BODY = "It has no body; its address is tested with the endpoints."
REFUSED_BY_THE_SDK = "The SDK itself refuses it, so that nothing was captured."
NOT_SENT = {
    **{f"{name}__{surface}": NO_BODY for name in ("omni_get", "omni_cancel") for surface in SURFACES},
    **{f"{name}__{surface}": NOT_OFFERED for name in ("omni_get_include_input", "omni_delete") for surface in SURFACES},
    **{f"omni_upscale_previous__{surface}": NOT_OFFERED for surface in SURFACES},
    **{f"models_list__{surface}": NO_BODY for surface in SURFACES},
    **{f"image_multi_turn__{surface}": NOT_OFFERED for surface in SURFACES},
    **{
        f"veo_{name}__vertex": NO_LIVE_MODEL
        for name in ("mask_insert", "mask_outpaint", "mask_remove", "mask_remove_static")
    },
    **{f"veo_{name}__vertex": NOT_OFFERED for name in ("enhance_prompt", "fps", "labels", "pubsub")},
    "image_chat_second_turn__gemini": NOT_OFFERED,
    "omni_webhook__gemini": NOT_OFFERED,
    "image_output_mime__gemini": REFUSED_BY_THE_SDK,
    "image_person_generation__gemini": REFUSED_BY_THE_SDK,
    "veo_webhook__vertex": REFUSED_BY_THE_SDK,
    "veo_operation_get__vertex": "The poll of an operation; its body is tested with the endpoint.",
}


def plain(value: Any) -> Any:
    """The SDK writes a few names in snake case and URL-safe base64; Google documents and accepts ours as well."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_interaction = "type" in value
    found = {name if is_interaction else CAMEL.get(name, name): plain(item) for name, item in value.items()}
    for name in found.keys() & {"data", "bytesBase64Encoded"}:
        found[name] = found[name].translate(str.maketrans("-_", "+/"))
    return found


def merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            del found[name]  # a patch that takes away what is not there is wrong
        else:
            found[name] = merged(found.get(name), value)
    return found


CAPTURES = sorted(path.stem for path in WIRE.glob("*.json"))


@pytest.mark.parametrize("name", CAPTURES)
def test_body_is_the_captured_one_or_its_difference_is_explained(name: str) -> None:
    captured = json.loads((WIRE / f"{name}.json").read_text())
    if name in NOT_SENT:
        assert name not in CASES
        return
    assert name in CASES, f"no case for the capture {name}"
    wanted = plain(captured["body"])
    if name in EXCEPTIONS:
        assert EXCEPTIONS[name].reason
        assert CASES[name] != wanted, f"the exception for {name} is not needed"
        wanted = merged(wanted, EXCEPTIONS[name].patch)
    assert CASES[name] == wanted


def test_every_case_and_exception_has_its_capture() -> None:
    assert CASES.keys() <= set(CAPTURES)
    assert EXCEPTIONS.keys() <= CASES.keys()
    assert NOT_SENT.keys() <= set(CAPTURES)
