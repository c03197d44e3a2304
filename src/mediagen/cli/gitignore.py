"""Keeps a file with a key out of git."""

import shutil
import subprocess
from pathlib import Path

GIT_SECONDS = 5.0


def is_exposed_to_git(path: Path) -> bool:
    """Whether a file lies in a git repository that does not ignore it."""
    folder = path.absolute().parent
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return False
    git = shutil.which("git")
    if git is None:
        return path.name not in _lines(folder / ".gitignore")
    try:
        asked = subprocess.run(  # noqa: S603 - git, with a path as its last argument
            [git, "-C", str(folder), "check-ignore", "-q", "--", path.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return asked.returncode != 0


def add_to_gitignore(path: Path) -> Path:
    """Add a file to the `.gitignore` of its folder; returns that."""
    ignored = path.absolute().parent / ".gitignore"
    ends_open = bool(_lines(ignored)) and not ignored.read_text(encoding="utf-8").endswith("\n")
    with ignored.open("a", encoding="utf-8") as stream:
        stream.write(f"{chr(10) if ends_open else ''}/{path.name}\n")
    return ignored


def _lines(ignored: Path) -> list[str]:
    if not ignored.is_file():
        return []
    return [line.strip().lstrip("/") for line in ignored.read_text(encoding="utf-8").splitlines()]
