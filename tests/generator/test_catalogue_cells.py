"""Every cell of the catalogue through the generator: possible ones make a request, others send nothing."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

from mediagen.app.app import App, open_app
from mediagen.catalog import Catalog, ModelSpec
from mediagen.errors import InvalidRequestError, MediaGenError
from mediagen.report.job import JobReport
from mediagen.requests import GenerateImageRequest, GenerateVideoRequest
from mediagen.settings import Settings

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1", "2:1")
SIZES = ("512", "1K", "2K", "4K", "8K", "1k")
RESOLUTIONS = ("360p", "720p", "1080p", "4k", "480p", "4K")
DURATIONS = (1, 2, 3, 4, 5, 8, 10, 11, 15, 16, 60)


def image_cells(specs: tuple[ModelSpec, ...]) -> Iterator[dict[str, Any]]:
    for spec, ratio, size in product(specs, RATIOS, SIZES):
        yield {"model": spec.id, "aspect_ratio": ratio, "image_size": size}


def video_cells(specs: tuple[ModelSpec, ...]) -> Iterator[dict[str, Any]]:
    for spec, resolution, duration, ratio in product(specs, RESOLUTIONS, DURATIONS, ("16:9", "9:16", "1:1")):
        yield {"model": spec.id, "resolution": resolution, "duration_seconds": duration, "aspect_ratio": ratio}


def is_possible(spec: ModelSpec, cell: dict[str, Any], surface_ok: bool) -> bool:
    """What the catalogue's own columns say, read without the code that checks requests."""
    if not surface_ok or not is_listed(cell["aspect_ratio"], spec.aspect_ratios):
        return False
    if spec.kind == "image":
        return is_listed(cell["image_size"], spec.image_sizes)
    in_time = is_listed(cell["duration_seconds"], spec.durations_for("text_to_video") or None)
    return in_time and is_listed(cell["resolution"], spec.resolutions)


def is_listed(value: Any, column: Sequence[Any] | None) -> bool:
    """A column that is absent says nothing, and the value passes unchecked."""
    return column is None or value in column


async def ask(app: App, spec: ModelSpec, values: dict[str, Any]) -> tuple[JobReport, None] | tuple[None, MediaGenError]:
    try:
        if spec.kind == "image":
            return await app.generator.generate_image(GenerateImageRequest.model_validate(values)), None
        return await app.generator.generate_video(GenerateVideoRequest.model_validate(values)), None
    except MediaGenError as error:
        return None, error


async def test_every_cell_is_made_or_refused_without_a_request(make_settings: Callable[..., Settings], emulator):
    catalog, today = Catalog.load(), datetime.now(UTC).date()
    made = refused = 0
    async with open_app(make_settings()) as app:
        for spec in catalog.models():
            # The emulator speaks for every surface that Google itself serves.
            surface_ok = any(
                spec.serves(surface) and not spec.is_retired(surface, today) for surface in ("gemini", "vertex")
            )
            cells = image_cells((spec,)) if spec.kind == "image" else video_cells((spec,))
            for cell in cells:
                report, error = await ask(app, spec, {"prompt": "x", "dry_run": True, **cell})
                assert (error is None) == is_possible(spec, cell, surface_ok), (cell, str(error))
                if report is None:
                    assert isinstance(error, InvalidRequestError), cell
                    assert error.field, cell
                    refused += 1
                else:
                    assert report.quote.usd is not None or spec.resolutions is None
                    made += 1
    assert made > 150
    assert refused > 2000
    assert emulator.requests() == []
