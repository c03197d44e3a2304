"""`mediagen config setup`: guided, every step skippable; nothing is written before the last question."""

import dataclasses
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from mediagen.cli.conversation import TAKE_OUT, Terminal, at_a_terminal, checked_answer
from mediagen.cli.gitignore import add_to_gitignore, is_exposed_to_git
from mediagen.credentials import find_adc
from mediagen.credentials.adc import GCLOUD_SOURCE
from mediagen.errors import ConfigurationError, MediaGenError
from mediagen.requests import Backend
from mediagen.settings import ProfileSettings, candidate_files, usable_variables
from mediagen.settings.config_file import load_config, user_config_dir
from mediagen.settings.profiles import Kind
from mediagen.settings.tables import ARGUMENT_TABLES, ProfileTable
from mediagen.settings.toml_file import holds_key, parse_toml, read_toml
from mediagen.settings.writing import changed_text, read_text, save_profile

KEY_PAGE = "https://aistudio.google.com/apikey"
NO_TERMINAL = (
    "config setup asks questions and needs a terminal. Without one, set GEMINI_API_KEY (a key from "
    f"{KEY_PAGE}), or write a mediagen.toml; `mediagen config path` shows where it is looked for."
)
SECRET_FIELDS = ("api_key", "vertex_api_key")
DEFAULTS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("image", ("model", "aspect_ratio", "image_size")),
    ("video", ("model", "aspect_ratio", "resolution", "duration_seconds")),
)
CAPS = (
    ("max_usd_per_call", "Most one job may cost, in US dollars"),
    ("max_usd_per_day", "Most all jobs of a day may cost"),
    ("max_usd_per_month", "Most all jobs of a month may cost"),
    ("confirm_above_usd", "Ask for approval above"),
)
# Everything that an answer may touch: a file that cannot take it is refused before the first question.
PROBE = {"project": "probe-1", "image": {"count": 1}, "video": {"count": 1}}
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckOutcome:
    """What Google said about the credentials of a profile.

    Attributes:
        words: For the person; never the key.
    """

    ok: bool
    words: str


Validate = Callable[[ProfileSettings], Awaitable[CheckOutcome]]


def run_setup(
    validate: Validate | None = None,
    *,
    terminal: Terminal | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Ask, test and save; returns the exit code.

    Args:
        validate: Tests the surface named by `backend` of the profile it gets, without cost; None tests nothing.
        terminal: Where to ask; None is the terminal of this process.
        environment: Variables; None is those of this process.

    Raises:
        ConfigurationError: The file cannot be read or written; it is as it was.
    """
    if terminal is None and not at_a_terminal():
        print(f"mediagen: {NO_TERMINAL}", file=sys.stderr)
        return 2
    terminal = terminal or Terminal()
    try:
        return _ask_and_save(terminal, validate, usable_variables(environment))
    except (KeyboardInterrupt, EOFError):
        terminal.say("\nStopped; nothing was changed.")
        return INTERRUPTED


def _ask_and_save(terminal: Terminal, validate: Validate | None, environment: Mapping[str, str]) -> int:
    terminal.say("Settings of mediagen. Enter skips a question; Ctrl-C leaves everything as it was.\n")
    setup = _Setup(terminal=terminal, validate=validate, environment=environment)
    setup.choose_place()
    setup.ask_project()
    setup.ask_gemini_key()
    setup.ask_vertex()
    setup.ask_bucket()
    setup.ask_defaults()
    setup.ask_caps()
    return setup.save()


@dataclass(kw_only=True, slots=True)
class _Setup:
    terminal: Terminal
    validate: Validate | None
    environment: Mapping[str, str]
    path: Path = field(default_factory=Path)
    name: str = "default"
    old: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def choose_place(self) -> None:
        """Which file and which profile of it; a file that cannot be changed is refused at once."""
        self.path = _choose_file(self.terminal, self.environment)
        self.old = read_text(self.path)
        top = parse_toml(self.old, self.path)
        read_toml(self.old, self.path, self.environment)
        profiles: dict[str, Any] = top.get("profiles", {})
        usual = top.get("profile") or next(iter(profiles), "default")
        if profiles:
            self.terminal.say(f"Profiles in {self.path}: {', '.join(profiles)}. A new name adds one.")
        self.name = self.terminal.ask(f"Name of the profile [{usual}]: ").strip() or usual
        self.before = dict(profiles.get(self.name, {}))
        self.values = dict(self.before)
        changed_text(self.old, self.name, PROBE, file=self.path, default=self.name)

    def ask_project(self) -> None:
        """Google Cloud project."""
        self._ask("project", "\nGoogle Cloud project id (not needed for a Gemini key alone)")

    def ask_gemini_key(self) -> None:
        """Key of the Gemini API."""
        self.terminal.say(f"\nGemini API key: get one at {KEY_PAGE}")
        known = [name for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY") if name in self.environment]
        if known:
            self.terminal.say(f"{known[0]} is set and is used when you skip this.")
        while self._ask_key("api_key", "Gemini API key"):
            if self._passes("gemini", "api_key", "api_key_variable"):
                return

    def ask_vertex(self) -> None:
        """Location and credentials of Vertex AI."""
        has_vertex = any(self.values.get(name) for name in ("location", "credentials_file", "vertex_api_key"))
        if not self.terminal.agrees("\nUse Vertex AI as well?", default=has_vertex):
            return
        if not self.values.get("project"):
            self._ask("project", "Google Cloud project id (an express key alone needs none)")
        self._ask("location", "Location, such as us-central1, us or global")
        names = ("credentials_file", "vertex_api_key", "vertex_api_key_variable")
        while True:
            self._ask_credentials_file()
            if not self.values.get("credentials_file") and not self._ask_key("vertex_api_key", "Vertex express key"):
                self.terminal.say(_gcloud_in_words(self.environment))
            if self._passes("vertex", *names):
                return

    def ask_bucket(self) -> None:
        """Bucket and prefix."""
        usual = f"; otherwise {self.values['project']}-media-output" if self.values.get("project") else ""
        self._ask("bucket", f"\nCloud Storage bucket for films (optional{usual})")
        if self.values.get("bucket"):
            self._ask("path", "Folder inside the bucket")

    def ask_defaults(self) -> None:
        """Default arguments of each kind."""
        if not self.terminal.agrees("\nSet defaults for pictures and clips?", default=False):
            return
        for kind, names in DEFAULTS:
            given = self.values.get(kind, {})
            table = dict(given)
            for name in names:
                question = f"{kind}: {name}"
                table[name] = self.terminal.value(question, ARGUMENT_TABLES[kind], name, table.get(name))
            self.values[kind] = {name: value for name, value in table.items() if value is not None or name in given}

    def ask_caps(self) -> None:
        """Spending caps."""
        if not self.terminal.agrees("\nSet spending caps?", default=False):
            return
        for name, question in CAPS:
            self._ask(name, question)

    def save(self) -> int:
        """Show what was said and write it, when the person agrees."""
        changes = self._changes()
        if not changes:
            self.terminal.say("\nNothing to save.")
            return 0
        self.terminal.say(f"\nProfile {self.name}:")
        for line in _in_words(self.values):
            self.terminal.say(f"  {line}")
        default = self._default_name()
        text = changed_text(self.old, self.name, changes, file=self.path)
        ignore = holds_key(text) and is_exposed_to_git(self.path)
        if ignore:
            question = f"{self.path.name} will hold a key and lies in a git repository. Add it to .gitignore?"
            ignore = self.terminal.agrees(question, default=True)
        if not self.terminal.agrees(f"Save to {self.path}?", default=True):
            self.terminal.say("Nothing was saved.")
            return 0
        if ignore:
            self.terminal.say(f"Added to {add_to_gitignore(self.path)}.")
        save_profile(self.path, self.name, changes, default=default)
        self.terminal.say(f"Saved; only you can read {self.path}.")
        self._say_what_wins()
        return 0

    def _ask(self, name: str, question: str) -> None:
        self.values[name] = self.terminal.value(question, ProfileTable, name, self.values.get(name))

    def _ask_key(self, name: str, words: str) -> bool:
        """Ask for a key or the name of its variable; False when there is nothing new."""
        variable = f"{name}_variable"
        kept = "a key is set; Enter keeps it" if self.values.get(name) else "Enter skips"
        kept = f"taken from {self.values[variable]}; Enter keeps it" if self.values.get(variable) else kept
        while True:
            answer = self.terminal.ask_hidden(f"{words} (not shown; $NAME takes it from a variable; {kept}): ").strip()
            if answer == TAKE_OUT:
                self.values |= {name: None, variable: None}
            if answer in {"", TAKE_OUT}:
                return False
            into, given = (variable, answer[1:].strip("{}")) if answer.startswith("$") else (name, answer)
            _, problem = checked_answer(ProfileTable, into, given)
            if problem is None:
                self.values |= {name: None, variable: None, into: given}
                return True
            self.terminal.say(f"  {problem}.")

    def _ask_credentials_file(self) -> None:
        while True:
            self._ask("credentials_file", "Credentials file (JSON of a service account)")
            named = self.values.get("credentials_file")
            if not named or (self.path.parent / named).is_file():
                return
            # Typed paths are relative to where the person is; the file keeps them relative to itself.
            if Path(named).expanduser().is_file():
                self.values["credentials_file"] = str(Path(named).expanduser().absolute())
                return
            self.terminal.say("  There is no such file.")

    def _passes(self, backend: Backend, *names: str) -> bool:
        """Test the credentials; False to ask again. What fails is left out unless the person wants it."""
        outcome = self._tested(backend, names)
        self.terminal.say(f"  {outcome.words}")
        if outcome.ok:
            return True
        answer = self.terminal.ask("  r: enter another, s: save it anyway, Enter: leave it out: ").strip().lower()
        if answer.startswith("s"):
            return True
        self.values |= {name: self.before.get(name) for name in names}
        return not answer.startswith("r")

    def _tested(self, backend: Backend, names: tuple[str, ...]) -> CheckOutcome:
        variables = [self.values.get(name) for name in names if name.endswith("_variable")]
        unset = [variable for variable in variables if variable and variable not in self.environment]
        if unset:
            return CheckOutcome(ok=False, words=f"The variable {unset[0]} is not set here, so it cannot be tested.")
        if self.validate is None:
            return CheckOutcome(ok=True, words="Not tested; `mediagen check` tests it.")
        try:
            return anyio.run(self.validate, dataclasses.replace(self._profile(), backend=backend))
        except MediaGenError as error:
            return CheckOutcome(ok=False, words=str(error))

    def _profile(self) -> ProfileSettings:
        """The profile as it would be read from the file, so that what is tested is what is saved."""
        text = changed_text(self.old, self.name, self._changes(), file=self.path)
        profiles, _, _ = read_toml(text, self.path, self.environment)
        return next(profile for profile in profiles if profile.name == self.name)

    def _changes(self) -> dict[str, Any]:
        changed = {name: value for name, value in self.values.items() if value != self.before.get(name)}
        return {name: value for name, value in changed.items() if value != {}}

    def _default_name(self) -> str | None:
        top = parse_toml(self.old, self.path)
        others = set(top.get("profiles", {})) - {self.name}
        if not others or top.get("profile") == self.name:
            return None
        wanted = self.terminal.agrees(f"Use {self.name} when no profile is named?", default=not top.get("profile"))
        return self.name if wanted else None

    def _say_what_wins(self) -> None:
        found = load_config(self.environment)
        if found and found.path.resolve() != self.path.resolve():
            self.terminal.say(f"In this folder {found.path} wins over it.")


def _choose_file(terminal: Terminal, environment: Mapping[str, str]) -> Path:
    places = tuple(path for path in candidate_files(environment) if path.suffix != ".json")
    if not places:
        raise ConfigurationError(
            f"MEDIAGEN_CONFIG names {environment['MEDIAGEN_CONFIG']}; JSON files are read, not written.",
            hint="Unset it, or name a mediagen.toml.",
            code="config_file",
        )
    if len(places) == 1:
        terminal.say(f"File: {places[0]}")
        return places[0]
    existing = next((place for place, path in enumerate(places) if path.exists()), len(places) - 1)
    options = tuple(
        f"{path} ({'all folders' if path.parent == user_config_dir() else 'this folder only'}"
        f"{', is there' if path.exists() else ''})"
        for path in places
    )
    return places[terminal.choose("Where to keep them?", options, default=existing)]


def _gcloud_in_words(environment: Mapping[str, str]) -> str:
    """What is there for application default credentials."""
    found = find_adc(environment)
    if found and found.file and found.file.is_file():
        return f"  Application default credentials: {found.file}"
    command = GCLOUD_SOURCE
    if shutil.which("gcloud"):
        return f"  No application default credentials yet; run: {command}"
    return (
        f"  No application default credentials, and gcloud is not installed: https://cloud.google.com/sdk ({command})"
    )


def _in_words(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += _in_words(value, f"{prefix}{name}.")
        elif value is not None:
            lines.append(f"{prefix}{name} = {'[set]' if name in SECRET_FIELDS else value}")
    return lines
