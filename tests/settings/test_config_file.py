"""The configuration file: where it is found, what it may say, what is refused and how."""

import os
import stat
from decimal import Decimal
from pathlib import Path

import pytest

from mediagen.errors import ConfigurationError
from mediagen.settings import Settings, candidate_files, check_supported, read_settings

SECRET = "AIzaVERYsecret0123456789"
FULL = f"""
profile = "film"

[image]
model = "gemini-3.1-flash-image"
count = 2

[presets.draft]
aspect_ratio = "16:9"
count = 1

[profiles.film]
project = "film-123"
location = "us-central1"
quota_project = "billing-9"
backend = "Vertex"
api_key = "{SECRET}"
vertex_api_key_variable = "FILM_EXPRESS_KEY"
access_token_variable = "FILM_TOKEN"
credentials_file = "keys/film.json"
use_metadata_server = true
bucket = "gs://film-media/"
path = "/clips/raw/"
output_dir = "out"
max_usd_per_call = 1.10
max_usd_per_day = 5
confirm_above_usd = 0.5

[profiles.film.image]
count = 1
search_grounding = true

[profiles.film.video]
model = "veo-3.1-generate-001"
duration_seconds = 8
resolution = "1080p"
generate_audio = false
resize_mode = "crop"

[profiles.film.presets.final]
kind = "video"
resolution = "4k"
count = 4

[profiles.other]
project = "other-4567"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    made = tmp_path / "Film 🎬"
    made.mkdir()
    monkeypatch.chdir(made)
    return made


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def refusal(text: str, folder: Path, **environment: str) -> str:
    write(folder / "mediagen.toml", text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings(environment)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_every_value_of_a_profile_is_read(folder: Path):
    file = write(folder / "mediagen.toml", FULL)
    settings = read_settings({"FILM_EXPRESS_KEY": " AQ.express ", "FILM_TOKEN": "ya29.token"})
    film = settings.choose_profile()
    assert film is not None
    assert settings.config_path == film.file == file
    assert (film.name, film.project, film.location, film.quota_project) == (
        "film",
        "film-123",
        "us-central1",
        "billing-9",
    )
    assert film.backend == "vertex"
    assert film.gemini_api_key is not None
    assert film.gemini_api_key.get_secret_value() == SECRET
    assert film.gemini_key_source == f"profile film in {file}"
    assert film.vertex_api_key is not None
    assert film.vertex_api_key.get_secret_value() == "AQ.express"
    assert film.vertex_key_source == f"FILM_EXPRESS_KEY, named by profile film in {file}"
    assert film.access_token is not None
    assert film.credentials_file == folder / "keys" / "film.json"
    assert film.use_metadata_server
    assert (film.bucket, film.path, film.output_dir) == ("film-media", "clips/raw", folder / "out")
    assert (film.max_usd_per_call, film.max_usd_per_day) == (Decimal("1.10"), Decimal(5))
    assert (film.max_usd_per_month, film.confirm_above_usd) == (None, Decimal("0.5"))
    assert film.video["duration_seconds"] == 8
    assert film.video["generate_audio"] is False
    assert film.problem is None
    assert settings.warnings == ()


def test_tables_of_the_whole_file_hold_for_all_profiles_and_the_profiles_own_win(folder: Path):
    write(folder / "mediagen.toml", FULL)
    settings = read_settings({"FILM_EXPRESS_KEY": "x", "FILM_TOKEN": "y"})
    film, other = settings.profiles
    assert dict(film.image) == {"model": "gemini-3.1-flash-image", "count": 1, "search_grounding": True}
    assert dict(other.image) == {"model": "gemini-3.1-flash-image", "count": 2}
    assert set(film.presets) == {"draft", "final"}
    assert film.presets["final"].values == {"resolution": "4k", "count": 4}
    assert (film.presets["final"].kind, other.presets["draft"].kind) == ("video", None)
    assert film.shared == {"image.model", "presets.draft"}


def test_file_with_defaults_alone_gives_one_profile(folder: Path):
    write(folder / "mediagen.toml", '[video]\nresolution = "1080p"\n')
    profile = read_settings({}).choose_profile()
    assert profile is not None
    assert (profile.name, dict(profile.video)) == ("default", {"resolution": "1080p"})


@pytest.mark.parametrize("text", ["", "# nothing\n", "[profiles]\n"])
def test_empty_file_has_no_profile(folder: Path, text: str):
    write(folder / "mediagen.toml", text)
    settings = read_settings({})
    assert settings.choose_profile() is None
    assert settings.config_path is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile = \n", ["mediagen.toml", "line 1"]),
        ("[profiles.a]\nproject = 'x'\nproject = 'y'\n", ["mediagen.toml", "line 3"]),
        ("profile = 'missing'\n[profiles.a]\n", ["profile", "'a'"]),
        ("[profiles.a]\nprojekt = 'x'\n", ["profiles.a.projekt", "'project'"]),
        ("[profiles.a]\nzzz = 'x'\n", ["profiles.a.zzz", "location"]),
        ("[profiles.a.image]\naspect = '1:1'\n", ["profiles.a.image.aspect", "'aspect_ratio'"]),
        ("[profiles.a.image]\nduration_seconds = 8\n", ["profiles.a.image.duration_seconds"]),
        ("[video]\nduration_seconds = '8'\n", ["video.duration_seconds", "integer"]),
        ("[image]\ncount = true\n", ["image.count"]),
        ("[image]\ncount = 9\n", ["image.count", "less than or equal to 4"]),
        ("[video]\nresize_mode = 'stretch'\n", ["video.resize_mode", "crop"]),
        ("[presets.x]\nkind = 'image'\nduration_seconds = 8\n", ["presets.x.duration_seconds"]),
        ("[presets.x]\nkind = 'sound'\n", ["presets.x.kind"]),
        ("[presets]\nx = 3\n", ["presets.x"]),
        ("profiles = 3\n", ["profiles"]),
        ("[profiles.a]\nbackend = 'openai'\n", ["profiles.a.backend", "gemini"]),
        ("[profiles.a]\nlocation = 'evil.com/'\n", ["profiles.a.location"]),
        ("[profiles.a]\nproject = '../x'\n", ["profiles.a.project"]),
        ("[profiles.a]\nbucket = 'gs://b/folder'\n", ["profiles.a.bucket", "`path`"]),
        ("[profiles.a]\npath = 'gs://b/x'\n", ["profiles.a.path"]),
        ("[profiles.a]\nmax_usd_per_day = -1\n", ["profiles.a.max_usd_per_day"]),
        ("[profiles.a]\nmax_usd_per_day = nan\n", ["profiles.a.max_usd_per_day"]),
        ("[profiles.a]\ncredentials_file = '{\"private_key\": 1}'\n", ["credentials_file", "path of a file"]),
        (f"[profiles.a]\napi_key = '{SECRET} {SECRET}'\n", ["profiles.a.api_key"]),
        (f"[profiles.a]\napi_key_variable = '{SECRET}'\n", ["api_key_variable", "name of an environment variable"]),
        (f"[profiles.a]\napi_key = '{SECRET}'\napi_key_variable = 'X'\n", ["api_key", "exclude"]),
        ("x = " + "[" * 5000, ["mediagen.toml"]),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_place(folder: Path, text: str, said: list[str]):
    words = refusal(text, folder)
    assert str(folder / "mediagen.toml") in words
    for part in said:
        assert part in words


def test_several_mistakes_are_told_at_once(folder: Path):
    words = refusal("[profiles.a]\nprojekt = 'x'\n[image]\ncount = 9\n", folder)
    assert "projekt" in words
    assert "image.count" in words


def test_unset_variable_matters_only_when_the_profile_is_used(folder: Path):
    write(folder / "mediagen.toml", '[profiles.a]\napi_key_variable = "NOT_SET"\n[profiles.b]\nproject = "bbb-1"\n')
    settings = read_settings({"NOT_SET": "${NOT_SET}"})
    a, b = settings.choose_profile("a"), settings.choose_profile("b")
    assert a is not None
    assert b is not None
    b.check_usable()
    with pytest.raises(ConfigurationError, match="NOT_SET") as caught:
        a.check_usable()
    assert caught.value.code == "profile_incomplete"


def test_literal_variables_and_blanks_count_as_unset_and_are_told(folder: Path):
    write(folder / "mediagen.toml", '[profiles.a]\napi_key = "${GEMINI_API_KEY}"\nproject = " "\n', 0o644)
    settings = read_settings({})
    (profile,) = settings.profiles
    assert profile.gemini_api_key is None
    assert profile.project is None
    assert len(settings.warnings) == 1
    assert "profiles.a.api_key" in settings.warnings[0]


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_file_with_a_key_that_others_can_read_is_warned_of(folder: Path):
    file = write(folder / "mediagen.toml", f'[profiles.a]\napi_key = "{SECRET}"\n', 0o644)
    assert "chmod 600" in read_settings({}).warnings[0]
    assert SECRET not in str(read_settings({}).warnings)
    file.chmod(0o600)
    assert read_settings({}).warnings == ()
    write(file, '[profiles.a]\nproject = "aaa"\n', 0o644)
    assert read_settings({}).warnings == ()


def test_keys_are_never_shown(folder: Path):
    write(folder / "mediagen.toml", FULL)
    settings = read_settings({"FILM_EXPRESS_KEY": "hidden-1", "FILM_TOKEN": "hidden-2"})
    shown = repr(settings) + str(settings.profiles) + settings.model_dump_json()
    for secret in (SECRET, "hidden-1", "hidden-2"):
        assert secret not in shown


def test_named_file_wins_and_nothing_else_is_looked_at(folder: Path, tmp_path: Path):
    write(folder / "mediagen.toml", "broken =")
    named = write(tmp_path / "elsewhere.toml", "[profiles.named]\n")
    assert names(read_settings({"MEDIAGEN_CONFIG": str(named)})) == ["named"]


@pytest.mark.parametrize("name", ["nowhere.toml", ".", "latin.toml", "other.json"])
def test_named_file_that_cannot_be_used_is_refused(folder: Path, name: str):
    (folder / "latin.toml").write_bytes(b'profile = "caf\xe9"\n')
    write(folder / "other.json", '{"name": "something else"}')
    with pytest.raises(ConfigurationError, match=name.replace(".", r"\.")):
        read_settings({"MEDIAGEN_CONFIG": name})


def test_places_are_tried_in_order(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project = tmp_path / "project"
    environment = {"CLAUDE_PROJECT_DIR": str(project)}
    user = tmp_path / "home" / ".config" / "mediagen" / "mediagen.toml"
    if candidate_files({})[-1] != user:
        monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(user.parent))
    assert candidate_files(environment)[-1] == user
    v21 = '{"main_projects": {"json-1": {}}}'
    for path, text, name in [
        (user, "[profiles.user]\n", "user"),
        (folder / "config.json", v21, "json-1"),
        (folder / "mediagen.toml", "[profiles.here]\n", "here"),
        (project / "config.json", v21.replace("json-1", "json-2"), "json-2"),
        (project / "mediagen.toml", "[profiles.project]\n", "project"),
    ]:
        write(path, text)
        assert names(read_settings(environment)) == [name]


def names(settings: Settings) -> list[str]:
    return [profile.name for profile in settings.profiles]


@pytest.mark.parametrize("text", ['{"name": "an app"}', "{broken", "[1, 2]", '{"main": 1}', "\x00\x01", "[" * 9999])
def test_config_json_of_another_program_is_ignored(folder: Path, text: str):
    write(folder / "config.json", text)
    assert read_settings({}).config_path is None


def test_config_json_that_cannot_be_read_is_ignored(folder: Path):
    (folder / "config.json").mkdir()
    assert read_settings({}).config_path is None
    (folder / "config.json").rmdir()
    (folder / "config.json").write_bytes(b"\xff\xfe")
    assert read_settings({}).config_path is None


def test_folder_or_pipe_instead_of_the_file_is_refused_and_not_waited_for(folder: Path):
    os.mkfifo(folder / "mediagen.toml")
    with pytest.raises(ConfigurationError, match="not a file"):
        read_settings({})


def test_windows_line_ends_and_byte_order_mark_are_read(folder: Path):
    (folder / "mediagen.toml").write_bytes(b"\xef\xbb\xbf[profiles.a]\r\nproject = 'aaa-1'\r\n")
    assert read_settings({}).profiles[0].project == "aaa-1"


def test_removed_working_folder_is_no_hindrance(folder: Path):
    folder.rmdir()
    assert read_settings({}).config_path is None


def test_choice_of_the_profile(folder: Path):
    write(folder / "mediagen.toml", "profile = 'b'\n[profiles.a]\n[profiles.b]\n[profiles.c]\n")
    chosen = read_settings({}).choose_profile()
    by_variable = read_settings({"MEDIAGEN_PROFILE": "c"})
    assert chosen is not None
    assert chosen.name == "b"
    assert by_variable.choose_profile() == by_variable.profiles[2]
    assert by_variable.choose_profile("a") == by_variable.profiles[0]


def test_several_profiles_without_a_choice_are_listed(folder: Path):
    write(folder / "mediagen.toml", "[profiles.film]\n[profiles.ads]\n")
    with pytest.raises(ConfigurationError, match="'film', 'ads'") as caught:
        read_settings({}).choose_profile()
    assert caught.value.code == "profile_needed"
    assert "MEDIAGEN_PROFILE" in caught.value.hint


def test_unknown_profile_is_refused_with_the_nearest(folder: Path):
    write(folder / "mediagen.toml", "[profiles.film]\n[profiles.ads]\n")
    with pytest.raises(ConfigurationError, match=r"'films'.*Did you mean 'film'") as caught:
        read_settings({}).choose_profile("films")
    assert caught.value.code == "profile_unknown"
    with pytest.raises(ConfigurationError, match="MEDIAGEN_PROFILE"):
        check_supported(read_settings({"MEDIAGEN_PROFILE": "nope"}))


def test_profile_without_a_file_is_refused(folder: Path):
    with pytest.raises(ConfigurationError, match="no configuration file") as caught:
        read_settings({}).choose_profile("film")
    assert caught.value.code == "profile_unknown"


def test_profiles_of_a_project(folder: Path):
    write(folder / "mediagen.toml", "[profiles.a]\nproject='same'\n[profiles.b]\nproject='same'\n[profiles.c]\n")
    assert names(read_settings({})) == ["a", "b", "c"]
    assert [profile.name for profile in read_settings({}).profiles_of_project("same")] == ["a", "b"]


def test_reading_changes_nothing(folder: Path):
    file = write(folder / "mediagen.toml", FULL, 0o640)
    read_settings({})
    assert file.read_text() == FULL
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
