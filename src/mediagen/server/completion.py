"""Completes what a person types: arguments of prompts, and the variable part of addresses of resources."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.types import (
    INTERNAL_ERROR,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from mediagen.app.app import App
from mediagen.catalog import Catalog
from mediagen.errors import MediaGenError
from mediagen.jobs import Kind
from mediagen.media.sources import ARTIFACT_PREFIX
from mediagen.presets import built_in_presets
from mediagen.report.error_codes import error_codes
from mediagen.server.callers import app_of
from mediagen.server.prompts.definitions import prompt_data
from mediagen.server.publishing import error_told

MOST = 100

Find = Callable[[App, str], Awaitable[list[str]]]


async def complete(context: Context[Any], params: CompleteRequestParams, _others: object) -> CompleteResult:
    """Give what a person may mean, what begins with the typed text first."""
    find = _finder(params.ref, params.argument.name)
    try:
        found = await find(app_of(context), params.argument.value) if find else []
    except MediaGenError as error:
        raise MCPError(INTERNAL_ERROR, error_told(app_of(context), error)) from None
    return CompleteResult(completion=Completion(values=found[:MOST], has_more=len(found) > MOST))


def _finder(reference: PromptReference | ResourceTemplateReference, argument: str) -> Find | None:
    if isinstance(reference, ResourceTemplateReference):
        return OF_RESOURCES.get(argument) if f"{{{argument}}}" in reference.uri else None
    prompt = prompt_data().prompts.get(reference.name)
    wanted = prompt.argument(argument) if prompt else None
    if wanted is None or wanted.completes is None:
        return None
    words = prompt_data().lists.get(wanted.completes)
    return partial(_of_words, words) if words else OF_PROMPTS[wanted.completes]


def _matching(words: Iterable[str], text: str) -> list[str]:
    """The words that contain a text, those that begin with it first."""
    text = text.strip().casefold()
    found = [word for word in dict.fromkeys(words) if text in word.casefold()]
    return sorted(found, key=lambda word: not word.casefold().startswith(text))


async def _of_words(words: Iterable[str], app: App, text: str) -> list[str]:  # noqa: ARG001 - one signature for all
    return _matching(words, text)


async def _codes(app: App, text: str) -> list[str]:  # noqa: ARG001 - one signature for all
    return _matching(sorted(error_codes()), text)


async def _job_ids(app: App, text: str) -> list[str]:
    return await app.generator.ledger.complete_job_ids(text, limit=MOST + 1)


async def _artifact_ids(app: App, text: str) -> list[str]:
    return await app.generator.ledger.complete_artifact_ids(text, limit=MOST + 1)


async def _files(app: App, text: str, *, kind: Kind | None = None) -> list[str]:
    """Addresses of the newest files."""
    text = "" if ARTIFACT_PREFIX.startswith(text) else text.removeprefix(ARTIFACT_PREFIX)
    found = await app.generator.ledger.complete_artifact_ids(text, limit=MOST + 1, kind=kind)
    return [f"{ARTIFACT_PREFIX}{artifact_id}" for artifact_id in found]


async def _clips(app: App, text: str) -> list[str]:
    """Addresses of the newest clips; jobs once somebody begins to type a job id."""
    if text.startswith("j"):
        return await app.generator.ledger.complete_job_ids(text, limit=MOST + 1, kind="video")
    return await _files(app, text, kind="video")


async def _models(app: App, text: str, *, kind: Kind | None = None) -> list[str]:  # noqa: ARG001 - one signature for all
    return _matching((spec.id for spec in Catalog.load().models(kind) if spec.status != "retired"), text)


async def _aspect_ratios(app: App, text: str, *, kind: Kind) -> list[str]:  # noqa: ARG001 - one signature for all
    living = (spec for spec in Catalog.load().models(kind) if spec.status != "retired")
    return _matching((ratio for spec in living for ratio in spec.aspect_ratios or ()), text)


async def _presets(app: App, text: str, *, kind: Kind) -> list[str]:
    configured = (
        name
        for profile in app.settings.profiles
        for name, preset in profile.presets.items()
        if preset.kind in {None, kind}
    )
    return _matching([*configured, *built_in_presets(kind)], text)


async def _styles_and_pictures(app: App, text: str) -> list[str]:
    return [*_matching(prompt_data().lists["styles"], text), *await _files(app, text, kind="image")]


OF_RESOURCES: Mapping[str, Find] = {"artifact_id": _artifact_ids, "job_id": _job_ids, "code": _codes}
OF_PROMPTS: Mapping[str, Find] = {
    "pictures": partial(_files, kind="image"),
    "clips": _clips,
    "files": _files,
    "styles_and_pictures": _styles_and_pictures,
    "models": _models,
    "image_models": partial(_models, kind="image"),
    "video_models": partial(_models, kind="video"),
    "image_aspect_ratios": partial(_aspect_ratios, kind="image"),
    "video_aspect_ratios": partial(_aspect_ratios, kind="video"),
    "video_presets": partial(_presets, kind="video"),
}
