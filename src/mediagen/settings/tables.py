"""What may stand in a table of mediagen.toml, and the words for what may not."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from mediagen.errors import ConfigurationError
from mediagen.requests import Backend, GenerateImageRequest, GenerateVideoRequest
from mediagen.settings.profiles import IMAGE_ARGUMENTS, VIDEO_ARGUMENTS, Kind
from mediagen.settings.values import (
    BucketName,
    Cap,
    Key,
    Location,
    ObjectPrefix,
    OsPath,
    ProjectId,
    VariableName,
    checked_words,
    lower,
)

SHOWN_PROBLEMS = 5
Table = dict[str, Any]
Checked = TypeVar("Checked", bound=BaseModel)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class FileTable(_Table):
    """Top level of mediagen.toml."""

    profile: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    profiles: dict[Annotated[str, Field(min_length=1, max_length=200)], Table] = Field(default_factory=dict)
    image: Table = Field(default_factory=dict)
    video: Table = Field(default_factory=dict)
    presets: dict[str, Table] = Field(default_factory=dict)


class ProfileTable(_Table):
    """`[profiles.NAME]`."""

    project: ProjectId | None = None
    location: Location | None = None
    quota_project: ProjectId | None = None
    backend: Annotated[Backend, BeforeValidator(lower)] | None = None
    api_key: Key | None = None
    api_key_variable: VariableName | None = None
    vertex_api_key: Key | None = None
    vertex_api_key_variable: VariableName | None = None
    access_token_variable: VariableName | None = None
    credentials_file: OsPath | None = None
    use_metadata_server: bool = False
    bucket: BucketName | None = None
    path: ObjectPrefix | None = None
    output_dir: OsPath | None = None
    max_usd_per_call: Cap | None = None
    max_usd_per_day: Cap | None = None
    max_usd_per_month: Cap | None = None
    confirm_above_usd: Cap | None = None
    no_spend: bool = False
    image: Table = Field(default_factory=dict)
    video: Table = Field(default_factory=dict)
    presets: dict[str, Table] = Field(default_factory=dict)


def _arguments(request: type[BaseModel], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: (request.model_fields[name].annotation, None) for name in names}


_IMAGE = _arguments(GenerateImageRequest, IMAGE_ARGUMENTS)
_VIDEO = _arguments(GenerateVideoRequest, VIDEO_ARGUMENTS)
# Strict, as TOML has types of its own: `count = true` is a mistake, not a 1.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True, protected_namespaces=())
ImageTable = create_model("ImageTable", __config__=_STRICT, **_IMAGE)
VideoTable = create_model("VideoTable", __config__=_STRICT, **_VIDEO)
_KIND: Table = {"kind": (Kind | None, None)}
EitherPreset = create_model("EitherPreset", __config__=_STRICT, **{**_IMAGE, **_VIDEO, **_KIND})
ImagePreset = create_model("ImagePreset", __config__=_STRICT, **{**_IMAGE, **_KIND})
VideoPreset = create_model("VideoPreset", __config__=_STRICT, **{**_VIDEO, **_KIND})
ARGUMENT_TABLES: Mapping[Kind, type[BaseModel]] = {"image": ImageTable, "video": VideoTable}
PRESET_TABLES: Mapping[object, type[BaseModel]] = {"image": ImagePreset, "video": VideoPreset}


class Checker:
    """Checks the tables of one file and gathers what is wrong with them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problems: list[str] = []

    def check(self, model: type[Checked], table: Mapping[str, Any], *where: str) -> Checked:
        """The table as values; what is wrong is gathered, and an empty table stands in for it."""
        try:
            return model.model_validate(dict(table))
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False, include_context=False):
                self.problems.append(_in_words(model, dict(item), where))
            return model.model_validate({})

    def complain(self, words: str, *where: str) -> None:
        """Note what no table can say."""
        self.problems.append(f"{dotted(where)} {words}" if where else words)

    def raise_problems(self) -> None:
        """Refuse the file when anything was wrong.

        Raises:
            ConfigurationError: Names the file, and each value by its dotted path.
        """
        if self.problems:
            more = len(self.problems) - SHOWN_PROBLEMS
            shown = self.problems[:SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
            raise ConfigurationError(f"{self.file}: {'; '.join(shown)}.", hint="Correct the file.", code="config_file")


def dotted(where: tuple[str, ...]) -> str:
    """Path of a value, as TOML writes it."""
    return ".".join(part if part.replace("-", "").replace("_", "").isalnum() else f'"{part}"' for part in where)


def _in_words(model: type[BaseModel], item: dict[str, Any], where: tuple[str, ...]) -> str:
    inner = tuple(str(part) for part in item["loc"] if part != "[key]")
    path = dotted((*where, *inner))
    if item["type"] != "extra_forbidden":
        return f"{path} cannot be used: {checked_words(item['msg'])}"
    close = difflib.get_close_matches(inner[-1], model.model_fields, n=1)
    meant = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(model.model_fields)}"
    return f"{path} is not known; {meant}"
