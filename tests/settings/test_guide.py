"""The guide says what holds."""

import re
from pathlib import Path

import pytest

from mediagen.settings import read_settings
from mediagen.settings.tables import ProfileTable

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "configuration.md"


def test_example_of_the_guide_can_be_used(tmp_path: Path):
    (example,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "mediagen.toml"
    file.write_text(example, encoding="utf-8")
    settings = read_settings({"MEDIAGEN_CONFIG": str(file), "FILM_GEMINI_KEY": "x"})
    film = settings.choose_profile()
    assert film is not None
    film.check_usable()
    assert set(film.presets) == {"final", "draft"}
    assert film.image["image_size"] == "2K"


@pytest.mark.parametrize("name", list(ProfileTable.model_fields))
def test_every_value_of_a_profile_is_in_the_guide(name: str):
    assert f"`{name}" in GUIDE.read_text(encoding="utf-8")
