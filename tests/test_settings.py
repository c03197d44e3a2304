"""Settings: what counts as set, where files go, what is refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from mediagen.errors import ConfigurationError
from mediagen.settings import check_supported, is_ordinary_folder, read_settings


def test_empty_and_unexpanded_values_count_as_unset():
    settings = read_settings({"GOOGLE_API_KEY": "${GOOGLE_API_KEY}", "GEMINI_API_KEY": "real", "MEDIAGEN_BACKEND": " "})
    assert settings.gemini_api_key is not None
    assert settings.gemini_api_key.get_secret_value() == "real"
    assert settings.gemini_key_source == "GEMINI_API_KEY"
    assert settings.backend == "auto"


def test_google_api_key_wins_over_gemini_api_key():
    settings = read_settings({"GEMINI_API_KEY": "second", "GOOGLE_API_KEY": "first"})
    assert settings.gemini_api_key is not None
    assert settings.gemini_api_key.get_secret_value() == "first"
    assert settings.gemini_key_source == "GOOGLE_API_KEY"


def test_key_is_never_shown():
    assert "very-secret" not in repr(read_settings({"GEMINI_API_KEY": "very-secret"}))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDIAGEN_BACKEND", "openai"),
        ("MEDIAGEN_POLL_SECONDS", "soon"),
        ("MEDIAGEN_POLL_SECONDS", "0"),
        ("MEDIAGEN_WAIT_SECONDS", "-1"),
        ("MEDIAGEN_MAX_USD_PER_DAY", "-5"),
        ("MEDIAGEN_CONFIRM_ABOVE_USD", "a lot"),
        ("MEDIAGEN_LOG_LEVEL", "chatty"),
        ("GOOGLE_GENAI_API_VERSION", "v9"),
    ],
)
def test_bad_value_names_its_variable(variable, value):
    with pytest.raises(ConfigurationError, match=variable):
        read_settings({variable: value})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDIAGEN_DATABASE_URL", "postgresql://localhost/x"),
        ("MEDIAGEN_PROFILE", "work"),
        ("MEDIAGEN_CONFIG", "/etc/mediagen.toml"),
        ("MEDIAGEN_TOOLSETS", "core,edit"),
    ],
)
def test_what_is_not_built_is_refused_rather_than_ignored(variable, value):
    with pytest.raises(ConfigurationError, match=variable):
        check_supported(read_settings({variable: value}))


def test_toolsets_are_read_with_spaces_and_an_empty_list_means_the_default():
    assert read_settings({"MEDIAGEN_TOOLSETS": " core , jobs "}).toolsets == ("core", "jobs")
    assert read_settings({"MEDIAGEN_TOOLSETS": ","}).toolsets == ("core", "jobs")


def test_caps_are_exact():
    assert read_settings({"MEDIAGEN_MAX_USD_PER_DAY": "0.1"}).max_usd_per_day == Decimal("0.1")


def test_files_go_to_the_working_directory_unless_it_is_no_place_for_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_settings({}).folder_for_files() == tmp_path.resolve()
    monkeypatch.chdir("/")
    assert read_settings({}).folder_for_files() == Path.home() / "mediagen"
    assert read_settings({"CLAUDE_PROJECT_DIR": str(tmp_path)}).folder_for_files() == tmp_path.resolve()
    assert read_settings({"MEDIAGEN_OUTPUT_DIR": str(tmp_path / "x")}).folder_for_files() == (tmp_path / "x").resolve()


@pytest.mark.parametrize("folder", ["/", "/usr", "/usr/lib", "/etc", "/nowhere"])
def test_system_folders_are_not_ordinary(folder):
    assert not is_ordinary_folder(Path(folder))


def test_input_roots_never_contain_the_whole_file_system(monkeypatch):
    monkeypatch.chdir("/")
    assert Path("/") not in read_settings({}).roots_for_inputs()
