"""Settings: what counts as set, where files go, what is refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from mediagen.errors import ConfigurationError
from mediagen.settings import check_supported, is_ordinary_folder, read_settings


@pytest.fixture(autouse=True)
def no_configuration_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)


def test_empty_and_unexpanded_values_count_as_unset():
    settings = read_settings({"GOOGLE_API_KEY": "${GOOGLE_API_KEY}", "GEMINI_API_KEY": "real", "MEDIAGEN_BACKEND": " "})
    assert settings.gemini_api_key is not None
    assert settings.gemini_api_key.get_secret_value() == "real"
    assert settings.source_of("gemini_api_key") == "GEMINI_API_KEY"
    assert settings.backend == "auto"


def test_google_api_key_wins_over_gemini_api_key():
    settings = read_settings({"GEMINI_API_KEY": "second", "GOOGLE_API_KEY": "first"})
    assert settings.gemini_api_key is not None
    assert settings.gemini_api_key.get_secret_value() == "first"
    assert settings.source_of("gemini_api_key") == "GOOGLE_API_KEY"


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
        ("GOOGLE_CLOUD_LOCATION", "evil.example/x"),
        ("GCP_LOCATION", "us central1"),
        ("GOOGLE_CLOUD_PROJECT", "../other"),
        ("GOOGLE_CLOUD_BUCKET", "gs://bucket/folder"),
        ("GOOGLE_VERTEX_BASE_URL", "aiplatform.googleapis.com"),
        ("CLIPROXY_BASE_URL", "http://"),
        ("STORAGE_EMULATOR_HOST", "ftp://x"),
        ("GOOGLE_APPLICATION_CREDENTIALS", '{"type": "service_account"}'),
    ],
)
def test_bad_value_names_its_variable(variable, value):
    with pytest.raises(ConfigurationError, match=variable):
        read_settings({variable: value})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDIAGEN_DATABASE_URL", "mysql://user:secret@localhost/x"),
        ("MEDIAGEN_PROFILE", "work"),
        ("MEDIAGEN_CONFIG", "/nowhere/mediagen.toml"),
        ("MEDIAGEN_TOOLSETS", "core,cut"),
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


def test_surfaces_are_read_with_the_first_variable_winning():
    settings = read_settings(
        {
            "VERTEX_AI_API_KEY": "AQ.express",
            "GOOGLE_ACCESS_TOKEN": "ya29.token\n",
            "GOOGLE_APPLICATION_CREDENTIALS": "~/keys/sa.json",
            "GCP_PROJECT": "second-1",
            "GOOGLE_CLOUD_PROJECT": "first-1",
            "GCP_LOCATION": "US-Central1",
            "GOOGLE_CLOUD_LOCATION": "${GOOGLE_CLOUD_LOCATION}",
            "GOOGLE_CLOUD_QUOTA_PROJECT": "quota-1",
            "GCS_BUCKET": "gs://media/",
            "GOOGLE_VERTEX_BASE_URL": "http://127.0.0.1:1/",
            "STORAGE_EMULATOR_HOST": "localhost:9023",
        }
    )
    assert settings.access_token is not None
    assert settings.access_token.get_secret_value() == "ya29.token"
    assert settings.credentials_file == Path.home() / "keys" / "sa.json"
    assert (settings.project, settings.location, settings.quota_project) == ("first-1", "us-central1", "quota-1")
    assert settings.bucket == "media"
    assert settings.vertex_base_url == "http://127.0.0.1:1"
    assert settings.storage_emulator_host == "http://localhost:9023"
    assert settings.source_of("project") == "GOOGLE_CLOUD_PROJECT"
    assert settings.source_of("location") == "GCP_LOCATION"
    assert settings.source_of("gemini_api_key") == ""


def test_proxy_has_defaults_that_do_not_count_as_configured():
    settings = read_settings({})
    assert settings.cliproxy_base_url == "http://127.0.0.1:8317"
    assert settings.cliproxy_api_key.get_secret_value() == "ccs-internal-managed"
    assert settings.source_of("cliproxy_base_url") == settings.source_of("cliproxy_api_key") == ""
    assert read_settings({"CLIPROXY_API_KEY": "mine"}).source_of("cliproxy_api_key") == "CLIPROXY_API_KEY"


@pytest.mark.parametrize("name", ["GEMINI_API_KEY", "VERTEX_AI_API_KEY", "GOOGLE_ACCESS_TOKEN"])
@pytest.mark.parametrize("key", ["AIzaLeft AIzaRight", "“AIzaQuoted”", "AIza\nInjected: yes"])
def test_text_that_no_header_can_carry_is_refused_without_showing_it(name, key):
    with pytest.raises(ConfigurationError, match=name) as caught:
        read_settings({name: key})
    assert "AIza" not in str(caught.value)


def test_variables_of_other_programs_are_not_taken_for_fields():
    settings = read_settings({"profiles": "x", "warnings": "y", "sources": "z", "project": "w", "config_path": "v"})
    assert (settings.profiles, settings.warnings, settings.project) == ((), (), None)


def test_source_of_an_unknown_field_is_a_mistake():
    with pytest.raises(KeyError):
        read_settings({}).source_of("nothing")
