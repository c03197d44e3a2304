"""Every argument that takes a path, an address, words or numbers, with every value that nobody means well."""

from typing import Any

import pytest
from tests.hostile import rows
from tests.hostile.conftest import SURFACES, Attack
from tests.hostile.rows import Place


def _surfaces(place: Place) -> tuple[str, ...]:
    """Both where the ways part: each is a call of its own."""
    return SURFACES if place.field in {"input_images", "image", "source"} else SURFACES[:1]


@pytest.mark.parametrize("place", rows.FILES, ids=str)
async def test_path_to_what_is_not_the_callers_is_refused(attack: Attack, place: Place) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(rows.NOT_FILES, (place,)), _surfaces(place))


async def test_paths_of_videos_to_join_are_refused_like_all_others(attack: Attack) -> None:
    values = {name: ["waves.mp4", value] for name, value in rows.NOT_FILES.items()}
    async with attack() as attacked:
        await attacked.refuse(rows.filled(values, rows.JOINED))


@pytest.mark.parametrize(
    ("place", "end"),
    [
        *((place, ".png") for place in rows.PICTURES),
        *((place, ".txt") for place in rows.DOCUMENTS),
        *((place, ".mp4") for place in (*rows.VIDEOS, *rows.EDITED, *rows.EDITED_PICTURES)),
    ],
    ids=str,
)
async def test_address_in_a_private_network_or_of_no_use_is_refused(attack: Attack, place: Place, end: str) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(rows.addresses(end), (place,)), _surfaces(place))


@pytest.mark.parametrize("place", [*rows.PICTURES, *rows.VIDEOS, *rows.EDITED_PICTURES, *rows.EDITED], ids=str)
async def test_data_that_is_none_is_refused(attack: Attack, place: Place) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(rows.DATA, (place,)), ["gemini"])


@pytest.mark.parametrize("place", [*rows.PICTURES, *rows.EDITED_PICTURES], ids=str)
async def test_picture_that_is_a_bomb_or_none_is_refused(attack: Attack, place: Place) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(rows.names_of("pictures"), (place,)), ["gemini"])


@pytest.mark.parametrize("place", [*rows.VIDEOS, *rows.EDITED], ids=str)
async def test_film_that_lies_or_names_other_files_is_refused(attack: Attack, place: Place, ffmpeg: str) -> None:
    async with attack() as attacked:
        # To look at an archive tells what it is, and does no harm.
        skipped = "archive.mp4" if place.tool == "probe_media" else ""
        films = {name: name for name in rows.names_of("films") if name != skipped}
        await attacked.refuse(rows.filled(films, (place,)), ["gemini"])


async def test_document_that_is_no_text_is_refused(attack: Attack) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(rows.names_of("texts"), rows.DOCUMENTS))


async def test_folder_for_results_that_is_none_is_refused(attack: Attack) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(rows.OUTPUT_FOLDERS, rows.FOLDERS))


async def test_bucket_that_is_none_is_refused(attack: Attack) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(rows.BUCKETS, rows.PREFIXES))


@pytest.mark.parametrize(
    ("values", "places"),
    [
        (rows.NO_TEXT, rows.PROMPTS),
        (rows.NO_TEXT, rows.FREE_WORDS),
        (rows.NO_NAME, rows.NAMES),
        (rows.NO_MOMENT, rows.MOMENTS),
        (rows.NUMBERS, rows.COUNTED),
        (rows.LISTS, rows.LISTED),
    ],
    ids=["prompts", "words", "names", "moments", "numbers", "lists"],
)
async def test_value_beyond_all_limits_is_refused(
    attack: Attack, values: dict[str, Any], places: tuple[Place, ...]
) -> None:
    async with attack() as attacked:
        await attacked.refuse(rows.filled(values, places))
