"""Every cell of the catalogue through the generator: possible ones make a request, others send nothing."""

from collections.abc import Callable, Iterator
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
    if not surface_ok or cell["aspect_ratio"] not in (spec.aspect_ratios or ()):
        return False
    if spec.kind == "image":
        return cell["image_size"] in (spec.image_sizes or ())
    in_time = cell["duration_seconds"] in spec.durations_for("text_to_video")
    return in_time and cell["resolution"] in (spec.resolutions or ())


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
            surface_ok = spec.serves("gemini") and not spec.is_retired("gemini", today)
            cells = image_cells((spec,)) if spec.kind == "image" else video_cells((spec,))
            for cell in cells:
                report, error = await ask(app, spec, {"prompt": "x", "dry_run": True, **cell})
                assert (error is None) == is_possible(spec, cell, surface_ok), (cell, str(error))
                if report is None:
                    assert isinstance(error, InvalidRequestError), cell
                    assert error.field, cell
                    refused += 1
                else:
                    assert report.quote.usd is not None
                    made += 1
    assert made > 150
    assert refused > 2000
    assert emulator.requests() == []
