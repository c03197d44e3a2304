"""Differences between what was asked for and the real file."""

import pytest

from mediagen.media.probe import MediaFacts
from mediagen.runner.differences import differences


def facts(**changes: object) -> MediaFacts:
    values = {"mime_type": "video/mp4", "size_bytes": 1, "width": 1280, "height": 720, "duration_seconds": 8.0,
              "fps": 24.0, "has_audio": True}  # fmt: skip
    return MediaFacts(**{**values, **changes})  # type: ignore[arg-type]  # the values of a test


ASKED = {"resolution": "720p", "duration_seconds": 8, "generate_audio": True, "mode": "text_to_video"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 640, "height": 360}, "640x360"),
        ({"duration_seconds": 5.0}, "5 s long"),
        ({"has_audio": False}, "no sound"),
    ],
)
def test_each_difference_of_a_clip_is_named(changes, said):
    found = differences(ASKED, facts(**changes))
    assert len(found) == 1
    assert said in found[0]


def test_nothing_is_said_of_a_clip_as_asked():
    assert differences(ASKED, facts()) == ()
    assert differences(ASKED, facts(width=720, height=1280, duration_seconds=8.04)) == ()


def test_length_of_an_extension_is_not_compared_with_its_new_part():
    assert differences({**ASKED, "mode": "video_extension"}, facts(duration_seconds=16.0)) == ()


def test_picture_of_another_size_is_named():
    found = differences({"pixel_size": "1376x768"}, facts(width=1024, height=1024, duration_seconds=None))
    assert "1376x768" in found[0]
