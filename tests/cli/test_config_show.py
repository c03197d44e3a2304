"""`config show`, `config path` and `--show-defaults`: what is in force and where it comes from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import of_child, paid

COMMAND = [sys.executable, "-m", "mediagen.cli"]
CONFIG = """
[profiles.film]
project = "film-123"
api_key = "AIzaFileSecret"
vertex_api_key_variable = "NOT_SET"
credentials_file = "missing.json"
max_usd_per_day = 5
no_spend = true
[profiles.film.video]
resolution = "1080p"
[image]
image_size = "2K"
[presets.draft]
kind = "image"
count = 1
"""


@pytest.fixture
def mediagen(environment, work, tmp_path):
    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        env = of_child({**environment, **changes})
        env = {name: value for name, value in env.items() if value}
        return subprocess.run([*COMMAND, *words], env=env, cwd=work, capture_output=True, text=True, timeout=60)

    return run


def test_show_names_every_value_and_its_origin_and_no_key(mediagen, work: Path):
    (work / "mediagen.toml").write_text(CONFIG)
    (work / "mediagen.toml").chmod(0o644)
    changes = {"GEMINI_API_KEY": "AIzaEnvSecret", "GCP_PROJECT": "env-1", "GOOGLE_ACCESS_TOKEN": "ya29.secret"}
    changes["MEDIAGEN_NO_SPEND"] = "1"
    done = mediagen("config", "show", **changes)
    assert done.returncode == 0, done.stderr
    file = work / "mediagen.toml"
    for line in (
        "GOOGLE_API_KEY or GEMINI_API_KEY = [set] (environment GEMINI_API_KEY)",
        "GOOGLE_CLOUD_PROJECT or GCP_PROJECT = env-1 (environment GCP_PROJECT)",
        "GOOGLE_ACCESS_TOKEN = [set] (environment GOOGLE_ACCESS_TOKEN)",
        "CLIPROXY_API_KEY = [default] (default)",
        "MEDIAGEN_LOG_LEVEL = WARNING (default)",
        "profile film (in use):",
        f"gemini_api_key = [set] (profile film in {file})",
        "missing.json (there is no such file)",
        f"max_usd_per_day = 5 ({file}, film)",
        f"no_spend = True ({file}, film)",
        "MEDIAGEN_NO_SPEND = True (environment MEDIAGEN_NO_SPEND)",
        f"video.resolution = 1080p ({file}, film)",
        f"image.image_size = 2K ({file}, all profiles)",
        f"presets.draft = [image] count=1 ({file}, all profiles)",
        "Problem: ",
        "NOT_SET",
        f"configuration file: {file}",
        "chmod 600",
    ):
        assert line in done.stdout, done.stdout
    assert "ecret" not in done.stdout.replace("GOOGLE_ACCESS", "")


def test_show_as_json_has_the_same(mediagen, work: Path):
    (work / "mediagen.toml").write_text("[profiles.a]\n[profiles.b]\nproject = 'bbb-1'\n")
    report = json.loads(mediagen("config", "show", "--json").stdout)
    assert [profile["name"] for profile in report["profiles"]] == ["a", "b"]
    assert not any(profile["chosen"] for profile in report["profiles"])
    assert "several profiles" in report["warnings"][0]
    assert report["config_file"] == str(work / "mediagen.toml")


def test_ledger_in_a_database_is_not_called_a_file(mediagen):
    done = mediagen("config", "path", MEDIAGEN_DATABASE_URL="postgresql://me:SECRET@db.example/media")
    assert "ledger: the database in MEDIAGEN_DATABASE_URL" in done.stdout
    assert "ledger.sqlite3" not in done.stdout
    assert "SECRET" not in done.stdout + done.stderr


def test_path_says_where_files_would_be_looked_for(mediagen, work: Path):
    done = mediagen("config", "path")
    assert "configuration file: none" in done.stdout
    for name in ("mediagen.toml", "config.json"):
        assert str(work / name) in done.stdout
    assert ".config" in done.stdout or "Library" in done.stdout


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        ("profile = \n", {}, "line 1"),
        ("[profiles.a]\nlocaton = 'x'", {}, "'location'"),
        ("[profiles.a]", {"MEDIAGEN_PROFILE": "b"}, "'a'"),
        ("", {"MEDIAGEN_CONFIG": "nowhere.toml"}, "nowhere.toml"),
    ],
)
def test_mistake_in_the_file_ends_with_3(mediagen, work: Path, emulator, text, changes, said):
    (work / "mediagen.toml").write_text(text)
    done = mediagen("image", "a fox", **changes)
    assert done.returncode == 3, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert paid(emulator) == 0


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ("image", "a fox", "--aspect-ratio", "3:2"),
            (("aspect_ratio", "3:2", "explicit"), ("image_size", "1K", "default")),
        ),
        (("video", "waves"), (("resolution", "720p", "default"), ("duration_seconds", "8", "default"))),
    ],
)
def test_show_defaults_lists_values_with_origins_and_sends_nothing(mediagen, emulator, words, lines):
    done = mediagen(*words, "--show-defaults")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    for line in lines:
        assert list(line) in [row[:3] for row in rows], done.stdout
    assert "Nothing was sent" in done.stdout
    assert '"Request:"' not in done.stdout
    request = json.loads(done.stdout.partition("Request:\n")[2])
    assert words[1] in json.dumps(request)
    assert paid(emulator) == 0


def test_show_defaults_as_json_is_the_dry_run(mediagen, emulator):
    report = json.loads(mediagen("image", "a fox", "--show-defaults", "--json").stdout)
    assert report["status"] == "dry_run"
    assert report["origins"]["image_size"] == "default"
    assert paid(emulator) == 0


def test_show_defaults_shortens_what_is_large(mediagen, emulator):
    done = mediagen("image", "a fox", "--input-images", "cat.png", "--show-defaults")
    assert done.returncode == 0, done.stderr
    assert "BASE64_DATA" in done.stdout
    assert len(done.stdout) < 10_000
