"""Finds the configuration file and reads it."""

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mediagen.errors import ConfigurationError
from mediagen.settings.profiles import ProfileSettings

TOML_NAME = "mediagen.toml"
JSON_NAME = "config.json"
MAX_BYTES = 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigFile:
    """What one configuration file says."""

    path: Path
    profiles: tuple[ProfileSettings, ...]
    default_profile: str | None = None
    warnings: tuple[str, ...] = ()


def user_config_dir() -> Path:
    """Folder of the file that holds for all working folders."""
    import platformdirs

    return Path(platformdirs.user_config_dir("mediagen", appauthor=False))


def candidate_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a configuration file is looked for, in order; only one place when MEDIAGEN_CONFIG is set."""
    named = environment.get("MEDIAGEN_CONFIG")
    if named:
        return (_expanded(named, "MEDIAGEN_CONFIG").absolute(),)
    places = [folder / name for folder in _folders(environment) for name in (TOML_NAME, JSON_NAME)]
    return tuple(dict.fromkeys((*places, user_config_dir() / TOML_NAME)))


def load_config(environment: Mapping[str, str]) -> ConfigFile | None:
    """Read the configuration file, if there is one.

    Args:
        environment: Variables, without those that count as unset.

    Raises:
        ConfigurationError: The file that MEDIAGEN_CONFIG names is missing, or the file cannot be used; names the file
            and the line or the value.
    """
    named = "MEDIAGEN_CONFIG" in environment
    for path in candidate_files(environment):
        text = _text(path, required=named, strict=path.name != JSON_NAME)
        if text is not None and (named or path.name == TOML_NAME or _is_ours(text)):
            return _read(path, text, environment)
    return None


def _expanded(path: str, variable: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{variable} begins with a home folder that cannot be found.", hint="Correct it.", code="config_file"
        ) from error


def _folders(environment: Mapping[str, str]) -> list[Path]:
    name = "CLAUDE_PROJECT_DIR"
    folders = [_expanded(environment[name], name)] if name in environment else []
    # The working folder may have been removed after the start; it holds no file then.
    with contextlib.suppress(FileNotFoundError):
        folders.append(Path.cwd())
    return folders


def _text(path: Path, *, required: bool, strict: bool) -> str | None:
    """Contents of a file; None when it is not there, or when it is another program's and cannot be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            reason = "it is not a file"
        elif found.st_size > MAX_BYTES:
            reason = f"it is larger than {MAX_BYTES} bytes"
        else:
            return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        if not required:
            return None
        reason = "there is no such file"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "it is not text in UTF-8"
    if not required and not strict:
        return None
    named = "MEDIAGEN_CONFIG names" if required else "The configuration file is"
    raise ConfigurationError(
        f"{named} {path}, which cannot be read: {reason}.",
        hint="Correct the variable, or create the file with `mediagen config setup`." if required else "",
        code="config_file",
    )


def _is_ours(text: str) -> bool:
    from mediagen.settings.json_file import is_of_schema

    return is_of_schema(text)


def _read(path: Path, text: str, environment: Mapping[str, str]) -> ConfigFile:
    # What checks a file takes longer to load than everything else of the settings, and mostly there is none.
    from mediagen.settings.json_file import read_json
    from mediagen.settings.toml_file import holds_key, read_toml

    if path.suffix.lower() == ".json":
        profiles, warnings = read_json(text, path)
        has_key = any(profile.gemini_api_key or profile.access_token for profile in profiles)
        return ConfigFile(path=path, profiles=profiles, warnings=(*warnings, *_exposed(path, has_key)))
    profiles, default, warnings = read_toml(text, path, environment)
    return ConfigFile(
        path=path,
        profiles=profiles,
        default_profile=default,
        warnings=(*warnings, *_exposed(path, holds_key(text))),
    )


def _exposed(path: Path, has_key: bool) -> tuple[str, ...]:
    """A warning when others on this machine can read a file with a key."""
    if not has_key or os.name != "posix" or not path.stat().st_mode & 0o077:
        return ()
    return (f"{path} holds a key and others on this machine can read it; make it yours alone: chmod 600 '{path}'",)
