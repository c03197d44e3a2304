"""Types of single arguments, and what all requests share."""

import json
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mediagen.surfaces import Backend as Backend

ImageMode = Literal["text_to_image", "image_edit"]
VideoMode = Literal[
    "text_to_video",
    "image_to_video",
    "first_last_frames",
    "reference_asset",
    "reference_style",
    "video_extension",
    "insert_objects",
    "remove_objects",
    "remix",
    "video_edit",
]

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MAX_PROMPT_CHARACTERS = 32_000
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
Source = Annotated[str, StringConstraints(min_length=1, max_length=40_000_000)]


def _as_list(value: object) -> object:
    """Some clients send a list as JSON text, or a single value instead of a list."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return [value]
    return [value]


Sources = BeforeValidator(_as_list)


def _of_one_line(value: str) -> str:
    if _CONTROLS.search(value):
        raise PydanticCustomError("controls", "must be one line without control characters")
    return value


Word = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_of_one_line)]
# It becomes a part of addresses, where dots, slashes and question marks would lead elsewhere.
_MODEL = re.compile(r"(?:[A-Za-z0-9][\w.@-]*/)*[A-Za-z0-9][\w.@-]*", re.ASCII)


def _of_a_model(value: str) -> str:
    if not _MODEL.fullmatch(value):
        raise PydanticCustomError("model", "must be the id of a model")
    return value


Model = Annotated[Word, AfterValidator(_of_a_model)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Usd = Annotated[Decimal, Field(ge=0, le=100_000)]
Seconds = Annotated[float, Field(ge=0, le=3600)]

SOURCES = "Local path, https URL, gs:// URI, data: URI or mediagen://artifacts/<id>."


class Request(BaseModel):
    """Arguments of a caller: frozen, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, data: Any) -> Any:
        """Some clients send null for every argument that they leave out."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data

    @field_validator("*", mode="after")
    @classmethod
    def _is_text_that_can_be_kept(cls, value: Any) -> Any:
        """No database keeps the character 0 within a text, and no path has it."""
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and "\0" in text for text in texts):
            raise PydanticCustomError("zero", "must not hold the character 0")
        return value
