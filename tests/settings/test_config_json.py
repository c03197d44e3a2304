"""config.json of schema v2.1: one profile for each project, and honesty about the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from mediagen.errors import ConfigurationError
from mediagen.settings import Settings, read_settings

WHOLE = {
    "_comment": "made by hand",
    "main_projects": {
        "gen-lang-client-1": {
            "location": "us-central1",
            "api_key": "AIzaSecret",
            "gcs": {"bucket": "gen-media", "output_path": "videos/"},
        },
        "studio-2": {"location": "europe-west4", "api_key": "ya29.token", "gcs": {}},
        "bare-3": {},
    },
    "defaults": {
        "video": {"model": "veo-3.1-generate-preview", "duration": "8s", "aspect_ratio": "9:16", "resolution": "1080p"},
        "image": {"model": "gemini-3-pro-image-preview", "aspect_ratio": "16:9", "resolution": "2k"},
    },
    "output": {"auto_save_metadata": True},
}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)

    def read_text(content: dict[str, Any] | str) -> Settings:
        file = tmp_path / "config.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        file.chmod(0o600)
        return read_settings({})

    return read_text


def test_each_project_is_a_profile(read):
    settings = read(WHOLE)
    first, second, third = settings.profiles
    assert (first.name, first.project, first.location) == ("gen-lang-client-1", "gen-lang-client-1", "us-central1")
    assert (first.bucket, first.path) == ("gen-media", "videos")
    assert first.gemini_api_key.get_secret_value() == "AIzaSecret"
    assert "gen-lang-client-1" in first.gemini_key_source
    assert second.gemini_api_key is None
    assert second.access_token.get_secret_value() == "ya29.token"
    assert (third.location, third.bucket) == (None, None)
    assert settings.warnings == ()


def test_defaults_have_our_names(read):
    profile = read(WHOLE).profiles[0]
    assert dict(profile.video) == {
        "model": "veo-3.1-generate-preview",
        "duration_seconds": 8,
        "aspect_ratio": "9:16",
        "resolution": "1080p",
    }
    assert dict(profile.image) == {"model": "gemini-3-pro-image-preview", "aspect_ratio": "16:9", "image_size": "2K"}


def test_one_project_is_chosen_and_several_want_a_choice(read):
    assert read({"main_projects": {"only": {}}}).choose_profile().name == "only"
    with pytest.raises(ConfigurationError, match="studio-2"):
        read(WHOLE).choose_profile()


def test_what_is_not_honoured_is_told(read):
    changed = {
        **WHOLE,
        "active_project": "x",
        "output": {"auto_save_metadata": False, "video_dir": "+generated_videos", "image_dir": "i", "_note": 1},
        "defaults": {"image": {"resolution": "1024x1024", "style": "x"}, "audio": {}},
    }
    settings = read(changed)
    (warning,) = settings.warnings
    for part in (
        "active_project",
        "auto_save_metadata",
        "output.video_dir",
        "output.image_dir",
        "defaults.image.style",
        "defaults.image.resolution",
        "defaults.audio",
    ):
        assert part in warning
    assert "_note" not in warning
    assert "image_size" not in settings.profiles[0].image


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"main_projects": {', "line 1"),
        ('{"main_projects": []}', "main_projects"),
        ({"main_projects": {"p": 3}}, "main_projects.p"),
        ({"main_projects": {"p": {"location": "evil.com/x"}}}, "main_projects.p.location"),
        ({"main_projects": {"p": {"api_key": ["AIzaSecret"]}}}, "main_projects.p.api_key"),
        ({"main_projects": {"p": {}}, "defaults": {"video": {"duration": "long"}}}, "defaults.video.duration_seconds"),
        ({"main_projects": {"Bad Project!": {}}}, "Bad Project!"),
    ],
)
def test_what_cannot_be_used_is_named(read, content, said):
    with pytest.raises(ConfigurationError) as caught:
        read(content)
    assert "config.json" in str(caught.value)
    assert said in str(caught.value)
    assert "AIzaSecret" not in str(caught.value)


def test_key_that_others_can_read_is_warned_of(read, tmp_path: Path):
    read(WHOLE)
    (tmp_path / "config.json").chmod(0o644)
    assert "chmod 600" in read_settings({}).warnings[0]
