"""Turns the record of a generation into the arguments that ask for it again."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import anyio

from mediagen.errors import InvalidRequestError, MediaGenError
from mediagen.generator.inheritance import INHERITED
from mediagen.jobs import public_address
from mediagen.ledger.ids import JOB_ID
from mediagen.media.inputs import MAX_VIDEO_BYTES, InputLoader
from mediagen.media.local_files import read_digest
from mediagen.media.metadata.record import SHORTENED
from mediagen.media.sources import ARTIFACT_PREFIX, LocalSource, parse_source, shown
from mediagen.modes import split_role
from mediagen.report.record import FoundRecord
from mediagen.requests import ExtendVideoRequest, GenerateImageRequest, GenerateVideoRequest, GenerationRequest
from mediagen.requests.fields import ImageMode, VideoMode

# They belong to one call, not to what was made: where its files go, what it may cost, how it is waited for.
OF_ONE_CALL: Final = frozenset(
    {"output_dir", "output_name", "request_id", "force_new", "max_usd", "wait_seconds", "dry_run", "preview"}
)
# Who pays and where the result goes is not left to a record that may have come with somebody else's file.
OF_THE_OWNER: Final = frozenset({"backend", "profile", "storage_uri", "upload_to", "location"})
# What presets are for: a preset that is named now decides these anew.
OF_A_PRESET: Final = frozenset(
    {"model", "preset", "resolution", "image_size", "duration_seconds", "generate_audio", "thinking_level"}
)
INPUTS: Final = (
    "input_images", "documents", "last_frame", "reference_images", "image", "video", "mask", "remix_from", "source",
    "continue_from",
)  # fmt: skip
VIDEO_INPUTS: Final = frozenset({"source", "video", "remix_from"})
COMMANDS: Final[Mapping[type[GenerationRequest], str]] = {
    GenerateImageRequest: "image",
    GenerateVideoRequest: "video",
    ExtendVideoRequest: "extend",
}
WHAT: Final = {"image": "a picture", "video": "a clip", "extend": "an extension"}
MODES: Final = frozenset({*get_args(ImageMode), *get_args(VideoMode)})
ENDS_OF_CUT_TEXT: Final = (SHORTENED, "?…", " characters)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeated:
    """Arguments taken from a record.

    Attributes:
        values: By argument; those that the caller gave are not among them.
        left_out: Arguments of the record that were not taken because it is not of this machine's ledger.
        changed: Inputs whose content is not what it was.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Input:
    """An input that a record names: argument, place, and the digests of its content and of what was made of it."""

    field: str
    source: str
    digests: frozenset[str]


async def repeated(
    found: FoundRecord, request_type: type[GenerationRequest], given: Mapping[str, Any], *, loader: InputLoader
) -> Repeated:
    """Take the arguments of a record that the caller did not give.

    Args:
        found: The record.
        request_type: What the caller asks for.
        given: What the caller gave, which wins.
        loader: Reads local inputs, to see whether they are still what they were.

    Raises:
        InvalidRequestError: The record is of something else, is cut, or names inputs that cannot be had any more.
    """
    _check_kind(found, request_type)
    passed = _passed_over(found, given)
    asked = {
        name: value
        for name, value in _asked(found).items()
        if name in request_type.model_fields and name not in given and name not in passed and value is not None
    }
    _refuse_cut(asked)
    inputs = _Inputs(found=found, loader=loader)
    values = {name: await inputs.of(name, value) if name in INPUTS else value for name, value in asked.items()}
    inputs.refuse_missing()
    left_out = () if found.is_in_ledger else tuple(sorted(OF_THE_OWNER & passed & found.requested.keys()))
    return Repeated(values=values, left_out=left_out, changed=tuple(inputs.changed))


def _asked(found: FoundRecord) -> dict[str, Any]:
    """What was asked for, and the model: another default by now would make something else."""
    model = found.model if found.model and INHERITED["model"](found.model) else None
    return {"model": model, **found.requested}


def _passed_over(found: FoundRecord, given: Mapping[str, Any]) -> frozenset[str]:
    passed = OF_ONE_CALL
    if given.get("preset") is not None:
        passed |= OF_A_PRESET
    if found.is_in_ledger:
        return passed
    # The emulator is free, and what was tried there must not start to cost something unasked.
    return passed | (OF_THE_OWNER - {"backend"} if found.requested.get("backend") == "emulator" else OF_THE_OWNER)


def _check_kind(found: FoundRecord, request_type: type[GenerationRequest]) -> None:
    if found.mode is not None and found.mode not in MODES:
        raise InvalidRequestError(
            f"like is the record of {found.mode!r}, which no model made.",
            field="like",
            hint="Name the generated file that it was made from; `mediagen show` tells which.",
            code="wrong_record",
        )
    asked = COMMANDS[request_type]
    if (real := _command_of(found)) != asked:
        raise InvalidRequestError(
            f"like is the record of {WHAT[real]}, and {WHAT[asked]} is asked for.",
            field="like",
            hint=f"Use `mediagen {real} --like` instead.",
            code="wrong_record",
        )


def _command_of(found: FoundRecord) -> str:
    if found.kind == "image":
        return "image"
    return "extend" if found.mode == "video_extension" or "source" in found.requested else "video"


def _refuse_cut(asked: Mapping[str, Any]) -> None:
    """A record may hold the beginning of what was long, and addresses without what they were signed with."""
    cut = [
        name
        for name, value in asked.items()
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str) and text.endswith(ENDS_OF_CUT_TEXT) and _is_cut(text)
    ]
    if cut:
        names = ", ".join(dict.fromkeys(cut))
        raise InvalidRequestError(
            f"The record holds {names} only in part, so it cannot be repeated as it stands.",
            field=cut[0],
            hint=f"Give {names} yourself.",
            code="record_cut",
        )


def _is_cut(text: str) -> bool:
    if text.endswith(SHORTENED):
        return True
    return text.startswith("data:") if text.endswith(ENDS_OF_CUT_TEXT[2]) else text.startswith(("http://", "https://"))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Inputs:
    """Finds the inputs of a record again.

    Attributes:
        missing: What cannot be had, in words.
        changed: What is taken though its content is not what it was.
        fields: The arguments it was given for.
    """

    found: FoundRecord
    loader: InputLoader
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)

    async def of(self, name: str, value: Any) -> Any:
        """The same inputs, by paths that lead to them from here."""
        if isinstance(value, list):
            return [await self._one(name, item) for item in value]
        return await self._one(name, value)

    def refuse_missing(self) -> None:
        """Refuse when an input is gone or may not be taken.

        Raises:
            InvalidRequestError: Names all of them.
        """
        if self.missing:
            names = ", ".join(dict.fromkeys(self.fields))
            raise InvalidRequestError(
                f"Inputs of the record cannot be taken over: {'; '.join(self.missing)}.",
                field=self.fields[0],
                hint=f"Give {names} yourself.",
                code="record_input_missing",
            )

    async def _one(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return self._lost(name, type(value).__name__, "is no text")
        source, role = split_role(value) if name == "reference_images" else (value, "")
        suffix = value[len(source) :] if role else ""
        if source.startswith(("data:", ARTIFACT_PREFIX)) or JOB_ID.fullmatch(source):
            return value
        try:
            parsed = parse_source(source, name, max_bytes=0)
        except InvalidRequestError:
            return self._lost(name, shown(source), "cannot be used")
        if not isinstance(parsed, LocalSource):
            if self.found.is_in_ledger:
                return value
            return self._lost(name, shown(source), "is an address, and the record is not of this ledger")
        path = await self._local(
            _Input(field=name, source=source, digests=self._digests(source)), _expanded(parsed.path)
        )
        return None if path is None else f"{path}{suffix}"

    async def _local(self, wanted: _Input, path: Path) -> str | None:
        is_known = self.found.is_in_ledger
        if is_known and (path.is_absolute() or self._working_directory):
            return await self._there(wanted, (self._working_directory or Path()) / path)
        folders = [path] if path.is_absolute() else [folder / path for folder in self._folders()]
        for candidate in folders:
            if await self._is_same(candidate, wanted):
                return str(candidate)
        why = "is not there any more, or not as it was" if is_known else "is not there as the record describes it"
        return self._lost(wanted.field, shown(wanted.source), why)

    async def _there(self, wanted: _Input, path: Path) -> str | None:
        try:
            await self.loader.find_local(str(path), wanted.field)
        except InvalidRequestError as error:
            why = "does not exist any more" if error.code == "input_not_found" else "cannot be read"
            return self._lost(wanted.field, shown(wanted.source), why)
        # Of a video the digest may be that of what was made of it.
        if wanted.digests and wanted.field not in VIDEO_INPUTS and not await self._is_same(path, wanted):
            self.changed.append(f"{wanted.field}={shown(wanted.source)}")
        return str(path)

    @property
    def _working_directory(self) -> Path | None:
        """Where the job was asked for, if that is known: it is the output folder unless another was set."""
        folder = self.found.effective.get("output_dir")
        return Path(folder) if folder and self.found.origins.get("output_dir") == "default" else None

    def _folders(self) -> list[Path]:
        """Where a relative path may have led from."""
        folder = self.found.effective.get("output_dir") if self.found.is_in_ledger else None
        beside = Path(self.found.file.path).parent if self.found.file and self.found.file.exists else None
        return [*dict.fromkeys(place for place in (folder and Path(folder), beside, Path.cwd()) if place)]

    async def _is_same(self, path: Path, wanted: _Input) -> bool:
        """Whether a file has the content that was sent, as it is or once it is made ready to be sent."""
        if not wanted.digests:
            return False
        load: Callable[[str, str], Awaitable[Any]] = (
            self.loader.load_document if wanted.field == "documents" else self.loader.load_image
        )
        try:
            real = await self.loader.find_local(str(path), wanted.field)
            if real is None:
                return False
            _, sha256, _ = await anyio.to_thread.run_sync(
                lambda: read_digest(real, wanted.field, max_bytes=MAX_VIDEO_BYTES)
            )
            return sha256 in wanted.digests or (await load(str(path), wanted.field)).sha256 in wanted.digests
        except MediaGenError:
            return False

    def _digests(self, source: str) -> frozenset[str]:
        named = public_address(source)  # as records have it
        entries = (items if isinstance(items, list) else () for items in self.found.input_files.values())
        digests = (
            item.get("sha256")
            for items in entries
            for item in items
            if isinstance(item, dict) and item.get("source") == named
        )
        return frozenset(digest for digest in digests if isinstance(digest, str))

    def _lost(self, name: str, source: str, why: str) -> str | None:
        self.fields.append(name)
        self.missing.append(f"{name}={source} {why}")
        return None


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user; then there is no such file either
        return path


def told(found: FoundRecord, taken: Repeated) -> str:
    """What is repeated, in one line."""
    places = {"ledger": "in the ledger", "sidecar": "beside the file", "embedded": "in the file"}
    names = ", ".join(taken.values) or "nothing"
    left = f" Left out, as the record is not of this ledger: {', '.join(taken.left_out)}." if taken.left_out else ""
    left += f" Changed since: {', '.join(taken.changed)}." if taken.changed else ""
    return f"Like {found.job_id or 'a record'} (found {places[found.found_in]}); taken from it: {names}.{left}"
