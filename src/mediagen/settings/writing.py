"""Changes one profile of mediagen.toml; comments and everything else stay. The only writer of that file."""

import contextlib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from mediagen.errors import ConfigurationError
from mediagen.settings.toml_file import parse_toml, read_toml

HEADER = "Settings of mediagen; `mediagen config show` says what holds and where it comes from."


def save_profile(path: Path, name: str, values: Mapping[str, Any], *, default: str | None = None) -> None:
    """Put values into `[profiles.NAME]`, whole or not at all; only the owner can read the file afterwards.

    Args:
        path: File to change or make; a link is followed.
        name: Profile.
        values: By name; None takes a value out, a table is merged.
        default: Name of the profile that the file shall use when none is named; None leaves it.

    Raises:
        ConfigurationError: The file cannot be read, changed or written; it is as it was.
    """
    target = path.resolve()
    old = read_text(target)
    text = changed_text(old, name, values, file=path, default=default)
    read_toml(text, path, os.environ)
    _replace(target, text)


def changed_text(old: str, name: str, values: Mapping[str, Any], *, file: Path, default: str | None = None) -> str:
    """The text of the file with one profile changed.

    Raises:
        ConfigurationError: The text is no TOML, or is written in a way that cannot be changed safely.
    """
    import tomlkit

    parse_toml(old, file)
    before, values = tomllib.loads(old), _plain(values)
    if not old.strip():
        old = f"# {HEADER}\n"
    document = tomlkit.parse(old)
    try:
        if default is not None:
            document["profile"] = default
        profiles = document.setdefault("profiles", tomlkit.table(is_super_table=True))
        _merge(profiles.setdefault(name, tomlkit.table()), values)
        text = tomlkit.dumps(document)
        after = tomllib.loads(text)
    except (ValueError, TypeError, KeyError, tomlkit.exceptions.TOMLKitError) as error:
        raise _unchangeable(file) from error
    # The proof that nothing else was touched, whatever the style of the file.
    if after != _expected(before, name, values, default):
        raise _unchangeable(file)
    return text


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as TOML has them: an amount becomes a number."""
    return {name: _plain(value) if isinstance(value, Mapping) else _number(value) for name, value in values.items()}


def _number(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def _merge(table: Any, values: Mapping[str, Any]) -> None:
    import tomlkit

    for name, value in values.items():
        if isinstance(value, Mapping):
            if value or name in table:
                _merge(table.setdefault(name, tomlkit.table()), value)
        elif value is not None:
            table[name] = value
        elif name in table:
            del table[name]


def _expected(before: Mapping[str, Any], name: str, values: Mapping[str, Any], default: str | None) -> dict[str, Any]:
    profiles = dict(before.get("profiles", {}))
    profiles[name] = _merged(profiles.get(name, {}), values)
    return {**before, "profiles": profiles, **({"profile": default} if default is not None else {})}


def _merged(table: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(table)
    for name, value in values.items():
        if isinstance(value, Mapping):
            if value or name in result:
                result[name] = _merged(result.get(name, {}), value)
        elif value is not None:
            result[name] = value
        else:
            result.pop(name, None)
    return result


def _unchangeable(file: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{file} is written in a way that cannot be changed without touching the rest; nothing was written.",
        hint="Change it by hand, or move it away and start anew.",
        code="config_file",
    )


def read_text(target: Path) -> str:
    """Contents of a file; empty when there is none.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return target.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigurationError(f"{target} cannot be read: {reason}.", code="config_file") from error


def _replace(target: Path, text: str) -> None:
    temporary: Path | None = None
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes it with mode 0600, so that the key is at no instant readable by others.
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be written: {error.strerror}; it is as it was.",
            hint="Choose another place, or correct the rights of the folder.",
            code="config_file",
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # Windows opens no folders; there the rename itself is all that can be had.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
