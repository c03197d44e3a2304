"""`config setup`: questions, tests before saving, and nothing changed by accident."""

import os
import pty
import select
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediagen.cli.config_setup import CheckOutcome, run_setup
from mediagen.cli.conversation import Terminal
from mediagen.errors import ConfigurationError, UnavailableError
from mediagen.settings import ProfileSettings, read_settings

KEY = "AIzaTyped-very-secret"
OLD = '# mine\n[profiles.film]\nproject = "film-1" # keep\n'


class Person:
    """Answers by what the question contains; Enter otherwise."""

    def __init__(self, *answers: tuple[str, str | type[BaseException]]) -> None:
        self.left = list(answers)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.terminal = Terminal(ask=self.answer, ask_hidden=self.answer, say=self.said.append)

    def answer(self, question: str) -> str:
        self.asked.append(question)
        for place, (part, answer) in enumerate(self.left):
            if part in question:
                del self.left[place]
                if isinstance(answer, str):
                    return answer
                raise answer
        return ""

    @property
    def heard(self) -> str:
        return "\n".join(self.said + self.asked)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    folder = tmp_path / "work 🎬"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def tested() -> list[ProfileSettings]:
    return []


@pytest.fixture
def check(tested: list[ProfileSettings]) -> Callable[[ProfileSettings], object]:
    async def check(profile: ProfileSettings) -> CheckOutcome:
        tested.append(profile)
        key = profile.gemini_api_key
        bad = key is not None and "bad" in key.get_secret_value()
        return CheckOutcome(ok=not bad, words="Google refuses this key." if bad else "Works: 12 models.")

    return check


def configure(person: Person, check=None, **environment: str) -> int:
    code = run_setup(check, terminal=person.terminal, environment=environment)
    assert not person.left, (person.left, person.asked)
    return code


def test_whole_conversation_is_saved_and_read_back(here: Path, check, tested):
    (here / "sa.json").write_text("{}")
    person = Person(
        ("Where", "1"),
        ("Name of the profile", "film"),
        ("project id", "film-123"),
        ("Gemini API key", KEY),
        ("Vertex AI as well", "y"),
        ("Location", "us-central1"),
        ("Credentials file", "sa.json"),
        ("bucket for", "film-media"),
        ("Folder inside", "clips"),
        ("Set defaults", "y"),
        ("image: model", "gemini-3.1-flash-image"),
        ("image: image_size", "2K"),
        ("video: duration_seconds", "six"),
        ("video: duration_seconds", "6"),
        ("spending caps", "yes"),
        ("one job", "-3"),
        ("one job", "1.5"),
        ("approval", "0.15"),
    )
    assert configure(person, check) == 0
    file = here / "mediagen.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    profile = read_settings({}).choose_profile()
    assert profile is not None
    assert (profile.name, profile.project, profile.location) == ("film", "film-123", "us-central1")
    assert profile.gemini_api_key is not None
    assert profile.gemini_api_key.get_secret_value() == KEY
    assert profile.credentials_file == here / "sa.json"
    assert (profile.bucket, profile.path) == ("film-media", "clips")
    assert dict(profile.image) == {"model": "gemini-3.1-flash-image", "image_size": "2K"}
    assert dict(profile.video) == {"duration_seconds": 6}
    assert (str(profile.max_usd_per_call), str(profile.confirm_above_usd)) == ("1.5", "0.15")
    assert [profile.backend for profile in tested] == ["gemini", "vertex"]
    assert tested[0].gemini_api_key == profile.gemini_api_key
    assert "aistudio.google.com/apikey" in person.heard
    assert "api_key = [set]" in person.heard
    assert KEY not in person.heard


def test_enter_everywhere_saves_nothing(here: Path, check, tested):
    person = Person()
    assert configure(person, check) == 0
    assert "Nothing to save" in person.heard
    assert list(here.iterdir()) == []
    assert tested == []


@pytest.mark.parametrize(
    ("answer", "saved"), [("", None), ("s", "bad-key"), ("r", "good-key")], ids=["left out", "anyway", "another"]
)
def test_key_that_fails_is_saved_only_when_the_person_says_so(here: Path, check, answer, saved):
    person = Person(
        ("Where", "1"),
        ("project id", "film-1"),
        ("Gemini API key", "bad-key"),
        ("save it anyway", answer),
        *((("Gemini API key", "good-key"),) if answer == "r" else ()),
    )
    assert configure(person, check) == 0
    assert "Google refuses" in person.heard
    key = read_settings({}).profiles[0].gemini_api_key
    assert (key and key.get_secret_value()) == saved


def test_surface_that_cannot_be_reached_counts_as_failed(here: Path):
    async def offline(_profile: ProfileSettings) -> CheckOutcome:
        raise UnavailableError("Google cannot be reached.")

    person = Person(("Where", "1"), ("Gemini API key", KEY))
    assert configure(person, offline) == 0
    assert "cannot be reached" in person.heard
    assert not (here / "mediagen.toml").exists()


def test_key_may_come_from_a_variable(here: Path, check, tested):
    person = Person(("Where", "1"), ("Gemini API key", "$FILM_KEY"))
    assert configure(person, check, FILM_KEY="from-variable") == 0
    assert tested[0].gemini_api_key is not None
    assert tested[0].gemini_api_key.get_secret_value() == "from-variable"
    assert "from-variable" not in (here / "mediagen.toml").read_text()
    assert 'api_key_variable = "FILM_KEY"' in (here / "mediagen.toml").read_text()


def test_unset_variable_is_told_and_can_be_saved_anyway(here: Path, check, tested):
    person = Person(("Where", "1"), ("Gemini API key", "${LATER}"), ("save it anyway", "s"))
    assert configure(person, check) == 0
    assert tested == []
    assert "LATER" in (here / "mediagen.toml").read_text()


def test_key_typed_as_a_variable_is_refused_unseen(here: Path):
    person = Person(("Gemini API key", f"${KEY}"), ("Gemini API key", "has space"), ("Gemini API key", ""))
    assert configure(person) == 0
    assert KEY not in person.heard
    assert not (here / "mediagen.toml").exists()


def test_profile_is_changed_in_place(here: Path):
    file = here / "mediagen.toml"
    file.write_text(OLD + 'location = "global"\n[profiles.other]\napi_key = "AIzaOther"\n')
    person = Person(("Name", "film"), ("project id", "film-2"), ("Vertex AI as well", "y"), ("Location", "-"))
    assert configure(person) == 0
    text = file.read_text()
    assert "# mine" in text
    assert "# keep" in text
    assert "location" not in text
    assert 'project = "film-2"' in text
    assert "AIzaOther" in text
    assert "AIzaOther" not in person.heard


def test_new_profile_can_become_the_default(here: Path):
    (here / "mediagen.toml").write_text(OLD)
    person = Person(("Name", "ads"), ("project id", "ads-1"), ("when no profile", "y"))
    assert configure(person) == 0
    chosen = read_settings({}).choose_profile()
    assert chosen is not None
    assert chosen.name == "ads"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, EOFError])
@pytest.mark.parametrize(
    "question", ["Name", "project id", "Gemini API key", "Vertex", "bucket", "defaults", "caps", "gitignore", "Save to"]
)
def test_leaving_at_any_question_changes_nothing(here: Path, question, stop):
    (here / ".git").mkdir()
    (here / "mediagen.toml").write_text(OLD)
    given = [] if question == "Gemini API key" else [("Gemini API key", KEY)]
    person = Person((question, stop), *given)
    assert run_setup(None, terminal=person.terminal, environment={}) == 130
    assert "nothing was changed" in person.heard
    assert (here / "mediagen.toml").read_text() == OLD
    assert sorted(path.name for path in here.iterdir()) == [".git", "mediagen.toml"]


def test_saying_no_at_the_end_changes_nothing(here: Path):
    (here / "mediagen.toml").write_text(OLD)
    assert configure(Person(("Gemini API key", KEY), ("Save to", "n"))) == 0
    assert (here / "mediagen.toml").read_text() == OLD


def test_file_with_a_key_is_kept_out_of_git(here: Path):
    subprocess.run(["git", "init", "-q", str(here)], check=True)
    (here / ".gitignore").write_text("*.pyc")
    assert configure(Person(("Where", "1"), ("Gemini API key", KEY))) == 0
    assert (here / ".gitignore").read_text() == "*.pyc\n/mediagen.toml\n"
    again = Person(("project id", "film-1"))
    assert configure(again) == 0
    assert "gitignore" not in again.heard


def test_file_without_a_key_may_be_in_git(here: Path):
    (here / ".git").mkdir()
    person = Person(("Where", "1"), ("project id", "film-1"))
    assert configure(person) == 0
    assert "gitignore" not in person.heard


def test_user_folder_is_the_usual_place_and_a_nearer_file_is_told(here: Path):
    assert configure(Person(("project id", "film-1"))) == 0
    path = read_settings({}).config_path
    assert path is not None
    assert here not in path.parents
    (here / "config.json").write_text('{"main_projects": {"p": {}}}')
    person = Person(("project id", "film-2"))
    assert configure(person) == 0
    assert "config.json wins" in person.heard


def test_named_file_is_made_and_json_is_never_written(here: Path):
    assert configure(Person(("project id", "film-1")), MEDIAGEN_CONFIG=str(here / "x.toml")) == 0
    assert (here / "x.toml").is_file()
    with pytest.raises(ConfigurationError, match="read, not written"):
        configure(Person(), MEDIAGEN_CONFIG="config.json")


def test_file_that_cannot_be_changed_is_refused_before_the_questions(here: Path):
    (here / "mediagen.toml").write_text("profiles = {film = {project = 'film-1'}}\n")
    person = Person()
    with pytest.raises(ConfigurationError, match="by hand"):
        configure(person)
    assert "project id" not in person.heard


def test_answers_that_are_no_numbers_are_asked_again(here: Path):
    person = Person(("Where", "9" * 5000), ("Where", "0"), ("Where", "x"), ("Where", "1"), ("caps", "maybe"))
    assert configure(person) == 0
    assert person.heard.count("number from 1 to") == 3


COMMAND = [sys.executable, "-m", "mediagen.cli", "config", "setup"]


def test_without_a_terminal_it_says_what_to_set(here: Path):
    done = subprocess.run(COMMAND, input="x\n", capture_output=True, text=True, timeout=60, cwd=here)
    assert done.returncode == 2
    assert "GEMINI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(here.iterdir()) == []


@pytest.fixture
def at_terminal(here: Path) -> Iterator[Callable[[list[tuple[str, str]]], tuple[int, str]]]:
    """Runs the command at a terminal of its own and answers its questions."""
    running: list[subprocess.Popen[bytes]] = []

    def run(answers: list[tuple[str, str]]) -> tuple[int, str]:
        main, side = pty.openpty()
        process = subprocess.Popen(
            COMMAND, stdin=side, stdout=side, stderr=side, cwd=here, close_fds=True, start_new_session=True
        )
        running.append(process)
        os.close(side)
        seen, deadline, left = "", time.monotonic() + 60, list(answers)
        unread = ""
        while time.monotonic() < deadline:
            if not select.select([main], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(main, 4096).decode()
            except OSError:
                break
            if not piece:
                break
            seen, unread = seen + piece, unread + piece
            if left and left[0][0] in unread:
                unread = ""
                os.write(main, left.pop(0)[1].encode())
        os.close(main)
        return process.wait(timeout=60), seen

    yield run
    for process in running:
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals")
def test_key_is_tested_saved_and_not_echoed_at_a_real_terminal(here: Path, at_terminal, emulator, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
    code, seen = at_terminal(
        [
            ("Where to keep", "1\n"),
            ("Name of the profile", "\n"),
            ("project id", "film-1\n"),
            ("Gemini API key (not", f"{KEY}\n"),
            ("Vertex AI as well", "\n"),
            ("bucket", "\n"),
            ("Set defaults", "\n"),
            ("caps", "\n"),
            ("Save to", "y\n"),
        ]
    )
    assert code == 0, seen
    assert any(request["path"].endswith("/models") for request in emulator.requests())
    assert KEY not in seen
    assert KEY in (here / "mediagen.toml").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals")
def test_control_d_at_a_real_terminal_leaves_nothing(here: Path, at_terminal):
    code, seen = at_terminal([("Where to keep", "1\n"), ("Name of the profile", "\x04")])
    assert code == 130, seen
    assert "nothing was changed" in seen
    assert list(here.iterdir()) == []
