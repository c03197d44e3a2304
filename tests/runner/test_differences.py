"""Differences between what was asked for and the real file."""

import pytest

from mediagen.media.probe import MediaFacts
from mediagen.runner.differences import differences


def facts(**changes: object) -> MediaFacts:
    values = {"mime_type": "video/mp4", "size_bytes": 1, "width": 1280, "height": 720, "duration_seconds": 8.0,
              "fps": 24.0, "has_audio": True}  # fmt: skip
    return MediaFacts(**{**values, **changes})  # type: ignore[arg-type]  # the values of a test


def picture(width: int, height: int) -> MediaFacts:
    return MediaFacts(mime_type="image/png", size_bytes=1, width=width, height=height)


ASKED = {"resolution": "720p", "duration_seconds": 8, "generate_audio": True, "mode": "text_to_video"}
EXTENDED = {**ASKED, "mode": "video_extension", "duration_seconds": 7, "source_seconds": 8.0}


@pytest.mark.parametrize(
    ("asked", "changes", "said"),
    [
        ({}, {"width": 640, "height": 360}, "640x360"),
        ({}, {"duration_seconds": 5.0}, "5 s long"),
        ({}, {"has_audio": False}, "no sound"),
        ({"generate_audio": False}, {}, "generate_audio=false"),
        ({}, {"fps": 23.976}, "23.976 frames per second"),
        ({}, {"fps": 30.0}, "30 frames per second"),
        ({"resolution": "4k"}, {}, "resolution 4k"),
        ({"resolution": "1080p"}, {}, "resolution 1080p"),
        ({"aspect_ratio": "9:16"}, {}, "aspect_ratio 9:16"),
        ({"aspect_ratio": "16:9"}, {"width": 720, "height": 1280}, "aspect_ratio 16:9"),
        ({"mode": "video_edit", "source_seconds": 5.0}, {}, "length of its source"),
        ({"mode": "remove_objects", "way": "video_edit", "source_seconds": 5.0}, {}, "length of its source"),
    ],
)
def test_each_difference_of_a_clip_is_named(asked, changes, said):
    found = differences({**ASKED, **asked}, facts(**changes))
    assert len(found) == 1, found
    assert said in found[0]


@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        ({}, {}),
        ({}, {"width": 720, "height": 1280, "duration_seconds": 8.04}),
        ({"aspect_ratio": "9:16"}, {"width": 720, "height": 1280}),
        ({"aspect_ratio": "16:9", "resolution": "4k"}, {"width": 3840, "height": 2160}),
        ({"aspect_ratio": "16:9", "resolution": "1080p"}, {"width": 1920, "height": 1080}),
        ({"generate_audio": False}, {"has_audio": False}),
        ({"generate_audio": None}, {"has_audio": False}),
        ({}, {"has_audio": None, "fps": None, "duration_seconds": None, "width": None}),
        ({"mode": "video_edit", "duration_seconds": 5, "source_seconds": 5.3}, {"duration_seconds": 5.3}),
        ({"mode": "video_edit", "duration_seconds": 8}, {"duration_seconds": 5.3}),
    ],
)
def test_nothing_is_said_of_a_clip_as_asked(asked, changes):
    assert differences({**ASKED, **asked}, facts(**changes)) == ()


def test_length_of_an_extension_is_compared_with_what_came():
    assert differences(EXTENDED, facts(duration_seconds=15.0), answer="whole") == ()
    assert differences(EXTENDED, facts(duration_seconds=7.0), answer="new_part") == ()
    assert "15 s" not in " ".join(differences(EXTENDED, facts(duration_seconds=11.0), answer="unclear"))
    assert "7 s more" in differences(EXTENDED, facts(duration_seconds=12.0), answer="whole")[0]
    assert "7 s was asked for" in differences(EXTENDED, facts(duration_seconds=5.0), answer="new_part")[0]


def test_length_of_an_extension_that_nothing_is_known_of_is_not_compared():
    assert differences(EXTENDED, facts(duration_seconds=16.0)) == ()


def test_sound_of_a_film_is_judged_by_its_new_part():
    silent = {**EXTENDED, "generate_audio": False}
    film = facts(duration_seconds=15.0)
    assert differences(silent, film, answer="whole") == ()  # its source may have sound
    assert differences(silent, film, answer="whole", new_sound=False) == ()
    assert "generate_audio=false" in differences(silent, film, answer="whole", new_sound=True)[0]
    assert differences(EXTENDED, film, answer="whole", new_sound=False) == ("The new part has no sound.",)


def test_picture_of_another_size_is_named():
    assert "1376x768" in differences({"pixel_size": "1376x768"}, picture(1024, 1024))[0]
    assert differences({"pixel_size": "768x1376"}, picture(768, 1376)) == ()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"aspect_ratio": "9:16"}, "aspect_ratio 9:16"),
        ({"image_size": "2K"}, "image_size 2K"),
        ({"image_size": "512"}, "image_size 512"),
        ({"image_size": "1K", "aspect_ratio": "1:1"}, "aspect_ratio 1:1"),
    ],
)
def test_picture_without_a_known_size_is_compared_with_its_ratio_and_scale(asked, said):
    found = differences(asked, picture(1376, 768))
    assert len(found) == 1, found
    assert said in found[0]


def test_nothing_is_said_of_a_picture_as_asked():
    assert differences({"image_size": "1K", "aspect_ratio": "16:9"}, picture(1376, 768)) == ()
    assert differences({"image_size": "4K"}, picture(3072, 5504)) == ()
    assert differences({}, picture(7, 3)) == ()
