"""The folders of this machine whose names are nobody else's business."""

from collections.abc import Callable
from pathlib import Path

from mediagen.settings import Settings


def own_folders(settings: Settings) -> tuple[str, ...]:
    """Those that the program works with, the deepest first: a part of a name is not hidden before the whole of it."""
    of_profiles = [profile.output_dir.expanduser().resolve() for profile in settings.profiles if profile.output_dir]
    known = {settings.folder_for_files(), settings.folder_for_state(), *of_profiles, *_usual()}
    return tuple(sorted((str(folder) for folder in known if folder != Path(folder.anchor)), key=len, reverse=True))


def _usual() -> list[Path]:
    found = []
    places: tuple[Callable[[], Path], ...] = (Path.home, Path.cwd)
    for place in places:
        try:
            found.append(place())
        except (OSError, RuntimeError):
            # There is none, or it was removed.
            continue
    return found
