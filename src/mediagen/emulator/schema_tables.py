"""The fields that Google's API knows, as tables; everything else is refused.

Source: https://ai.google.dev/api/generate-content and https://ai.google.dev/api/interactions-api (checked 2026-11-21)
"""

from typing import Any

from mediagen.emulator.schema import Checker, Field, Message, Type

_STRING = Field()
_STRINGS = Field(repeated=True)
_INTEGER = Field(type="integer")
_NUMBER = Field(type="number")
_BOOLEAN = Field(type="boolean")
_ANY = Field(type="any")
_MAP = Field(type="map")


def _inside(message: str, *, repeated: bool = False, type_: Type = "message") -> Field:
    return Field(type=type_, message=message, repeated=repeated)


def _enum(type_name: str, words: str, *, repeated: bool = False) -> Field:
    return Field(type_name=type_name, values=frozenset(words.split()), repeated=repeated)


RATIO_WORDS: dict[str, str] = {
    "ASPECT_RATIO_ONE_BY_ONE": "1:1",
    "ASPECT_RATIO_TWO_BY_THREE": "2:3",
    "ASPECT_RATIO_THREE_BY_TWO": "3:2",
    "ASPECT_RATIO_THREE_BY_FOUR": "3:4",
    "ASPECT_RATIO_FOUR_BY_THREE": "4:3",
    "ASPECT_RATIO_FOUR_BY_FIVE": "4:5",
    "ASPECT_RATIO_FIVE_BY_FOUR": "5:4",
    "ASPECT_RATIO_NINE_BY_SIXTEEN": "9:16",
    "ASPECT_RATIO_SIXTEEN_BY_NINE": "16:9",
    "ASPECT_RATIO_TWENTY_ONE_BY_NINE": "21:9",
    "ASPECT_RATIO_ONE_BY_FOUR": "1:4",
    "ASPECT_RATIO_FOUR_BY_ONE": "4:1",
    "ASPECT_RATIO_ONE_BY_EIGHT": "1:8",
    "ASPECT_RATIO_EIGHT_BY_ONE": "8:1",
}
SIZE_WORDS: dict[str, str] = {
    "IMAGE_SIZE_FIVE_TWELVE": "512",
    "IMAGE_SIZE_ONE_K": "1K",
    "IMAGE_SIZE_TWO_K": "2K",
    "IMAGE_SIZE_FOUR_K": "4K",
}

_CONTENT: dict[str, Message] = {
    "Content": {"parts": _inside("Part", repeated=True), "role": _STRING},
    "Part": {
        "text": _STRING,
        "inline_data": _inside("Blob"),
        "file_data": _inside("FileData"),
        "thought": _BOOLEAN,
        "thought_signature": _STRING,
        "video_metadata": _ANY,
        "media_resolution": _ANY,
        "function_call": _ANY,
        "function_response": _ANY,
        "executable_code": _ANY,
        "code_execution_result": _ANY,
        "part_metadata": _ANY,
    },
    "Blob": {"mime_type": _STRING, "data": _STRING},
    "FileData": {"mime_type": _STRING, "file_uri": _STRING},
}

_GENERATION: dict[str, Message] = {
    "GenerateContentRequest": {
        "model": _STRING,
        "contents": _inside("Content", repeated=True),
        "system_instruction": _inside("Content"),
        "generation_config": _inside("GenerationConfig"),
        "safety_settings": _inside("SafetySetting", repeated=True),
        "tools": _inside("Tool", repeated=True),
        "tool_config": _ANY,
        "cached_content": _STRING,
        "service_tier": _STRING,
        "store": _BOOLEAN,
    },
    "CountTokensRequest": {
        "contents": _inside("Content", repeated=True),
        "generate_content_request": _inside("GenerateContentRequest"),
    },
    "GenerationConfig": {
        "seed": _INTEGER,
        "temperature": _NUMBER,
        "top_p": _NUMBER,
        "top_k": _INTEGER,
        "candidate_count": _INTEGER,
        "max_output_tokens": _INTEGER,
        "presence_penalty": _NUMBER,
        "frequency_penalty": _NUMBER,
        "stop_sequences": _STRINGS,
        "response_modalities": _enum("GenerationConfig.Modality", "TEXT IMAGE AUDIO VIDEO", repeated=True),
        "response_mime_type": _STRING,
        "response_schema": _ANY,
        "response_json_schema": _ANY,
        "speech_config": _ANY,
        "media_resolution": _STRING,
        "thinking_config": _inside("ThinkingConfig"),
        "image_config": _inside("ImageConfig"),
        "response_format": _inside("ResponseFormat"),
    },
    "ThinkingConfig": {
        "include_thoughts": _BOOLEAN,
        "thinking_budget": _INTEGER,
        "thinking_level": _enum("ThinkingConfig.ThinkingLevel", "MINIMAL LOW MEDIUM HIGH"),
    },
    "ImageConfig": {"aspect_ratio": _STRING, "image_size": _STRING},
    "ResponseFormat": {"image": _inside("ImageResponseFormat"), "text": _ANY},
    "ImageResponseFormat": {
        "aspect_ratio": _enum("ImageResponseFormat.AspectRatio", " ".join(RATIO_WORDS)),
        "image_size": _enum("ImageResponseFormat.ImageSize", " ".join(SIZE_WORDS)),
        "mime_type": _STRING,
        "delivery": _STRING,
    },
}

# Source: https://ai.google.dev/api/batch-api and google-genai 3.4.0, batches.py (checked 2026-11-22)
_BATCHES: dict[str, Message] = {
    "BatchGenerateContentRequest": {"batch": _inside("GenerateContentBatch")},
    "GenerateContentBatch": {
        "name": _STRING,
        "model": _STRING,
        "display_name": _STRING,
        "input_config": _inside("InputConfig"),
        "priority": _INTEGER,
        "webhook_config": _ANY,
    },
    "InputConfig": {"requests": _inside("InlinedRequests"), "file_name": _STRING},
    "InlinedRequests": {"requests": _inside("InlinedRequest", repeated=True)},
    "InlinedRequest": {"request": _inside("GenerateContentRequest"), "metadata": _ANY},
}

_SAFETY_AND_TOOLS: dict[str, Message] = {
    "SafetySetting": {
        "category": _enum(
            "HarmCategory",
            "HARM_CATEGORY_HARASSMENT HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_SEXUALLY_EXPLICIT "
            "HARM_CATEGORY_DANGEROUS_CONTENT HARM_CATEGORY_CIVIC_INTEGRITY",
        ),
        "threshold": _enum(
            "SafetySetting.HarmBlockThreshold",
            "BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF",
        ),
    },
    "Tool": {
        "google_search": _inside("GoogleSearch"),
        "function_declarations": _ANY,
        "code_execution": _ANY,
        "url_context": _ANY,
        "google_maps": _ANY,
        "file_search": _ANY,
    },
    "GoogleSearch": {"time_range_filter": _ANY, "search_types": _inside("SearchTypes")},
    "SearchTypes": {"web_search": _inside("Empty"), "image_search": _inside("Empty")},
    "Empty": {},
}

_INTERACTIONS: dict[str, Message] = {
    "Interaction": {
        "model": _STRING,
        "input": _ANY,
        "background": _BOOLEAN,
        "store": _BOOLEAN,
        "stream": _BOOLEAN,
        "generation_config": _inside("InteractionGenerationConfig"),
        "response_format": _inside("format", type_="union", repeated=True),
        "response_modalities": _STRINGS,
        "response_mime_type": _STRING,
        "previous_interaction_id": _STRING,
        "labels": _MAP,
        "safety_settings": _ANY,
        "service_tier": _STRING,
        "system_instruction": _STRING,
        "tools": _ANY,
        "webhook_config": _ANY,
        "cached_content": _STRING,
        "continuation_token": _STRING,
        "environment": _ANY,
    },
    "InteractionInput": {"input": _inside("step", type_="union", repeated=True)},
    "InteractionContent": {"input": _inside("content", type_="union", repeated=True)},
    "InteractionGenerationConfig": {
        "seed": _INTEGER,
        "temperature": _NUMBER,
        "top_p": _NUMBER,
        "max_output_tokens": _INTEGER,
        "stop_sequences": _STRINGS,
        "thinking_level": _STRING,
        "thinking_summaries": _STRING,
        "tool_choice": _ANY,
        "speech_config": _ANY,
        "transcription_config": _ANY,
        "image_config": _inside("ImageConfig"),
        "video_config": _inside("VideoConfig"),
    },
    "VideoConfig": {
        "task": _enum("VideoConfig.Task", "text_to_video image_to_video reference_to_video edit extend upscale")
    },
    "format.video": {
        "type": _STRING,
        "aspect_ratio": _enum("VideoResponseFormat.AspectRatio", "16:9 9:16"),
        "resolution": _enum("VideoResponseFormat.Resolution", "360p 720p 1080p 4k"),
        "duration": _STRING,
        "delivery": _enum("VideoResponseFormat.Delivery", "inline uri"),
        "gcs_uri": _STRING,
    },
    "format.text": {"type": _STRING, "mime_type": _STRING, "schema": _ANY},
    "format.image": {
        "type": _STRING,
        "aspect_ratio": _STRING,
        "image_size": _STRING,
        "mime_type": _STRING,
        "delivery": _STRING,
    },
    "step.user_input": {"type": _STRING, "content": _inside("content", type_="union", repeated=True)},
    "content.text": {"type": _STRING, "text": _STRING, "annotations": _ANY},
    "content.image": {"type": _STRING, "mime_type": _STRING, "data": _STRING, "uri": _STRING, "resolution": _STRING},
    "content.video": {
        "type": _STRING,
        "mime_type": _STRING,
        "data": _STRING,
        "uri": _STRING,
        "name": _STRING,
        "resolution": _STRING,
        "processing": _ANY,
    },
}

_VERTEX: dict[str, Message] = {
    "GenerateContentRequest": {
        **{name: field for name, field in _GENERATION["GenerateContentRequest"].items() if name != "store"},
        "labels": _MAP,
        "model_armor_config": _ANY,
    },
    "CountTokensRequest": {
        **_GENERATION["GenerateContentRequest"],
        "instances": _ANY,
    },
    "ImageConfig": {
        **_GENERATION["ImageConfig"],
        "person_generation": _enum("ImageConfig.PersonGeneration", "ALLOW_ALL ALLOW_ADULT ALLOW_NONE"),
        "prominent_people": _enum("ImageConfig.ProminentPeople", "ALLOW_PROMINENT_PEOPLE BLOCK_PROMINENT_PEOPLE"),
        "image_output_options": _inside("ImageOutputOptions"),
    },
    "ImageOutputOptions": {"mime_type": _STRING, "compression_quality": _INTEGER},
    "SafetySetting": {**_SAFETY_AND_TOOLS["SafetySetting"], "method": _STRING},
}

GENERATE_CONTENT = Checker(tables=_CONTENT | _GENERATION | _SAFETY_AND_TOOLS, camel=True)
BATCHES = Checker(tables=_CONTENT | _GENERATION | _SAFETY_AND_TOOLS | _BATCHES, camel=True)
VERTEX_GENERATE_CONTENT = Checker(
    tables=_CONTENT | _GENERATION | _SAFETY_AND_TOOLS | _VERTEX,
    camel=True,
    type_prefix="type.googleapis.com/google.cloud.aiplatform.v1beta1.",
)
INTERACTIONS = Checker(tables=_GENERATION | _INTERACTIONS, camel=False)


def first_interaction_violation(body: Any) -> str:
    """Say what is wrong with an interaction's body; empty text when it is well formed."""
    violations = INTERACTIONS.check(body, "Interaction")
    if not violations:
        violations = _check_input(body.get("input"))
    return violations[0][1] if violations else ""


def _check_input(value: Any) -> list[tuple[str, str]]:
    if value is None or isinstance(value, str):
        return []
    blocks = value if isinstance(value, list) else [value]
    is_steps = any(isinstance(block, dict) and block.get("type") == "user_input" for block in blocks)
    return INTERACTIONS.check({"input": blocks}, "InteractionInput" if is_steps else "InteractionContent")
