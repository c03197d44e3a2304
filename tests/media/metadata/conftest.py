from collections.abc import Callable
from pathlib import Path

import pytest
from tests.media.metadata.samples import FILMS, STILLS, film, still

Make = Callable[[str], Path]


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("samples")
    made = {kind: still(kind) for kind in STILLS}
    for kind in FILMS:
        film(kind, folder / kind)
        made[kind] = (folder / kind).read_bytes()
    return made


@pytest.fixture
def make(samples: dict[str, bytes], tmp_path: Path) -> Make:
    """Writes a fresh copy of a sample and gives its path."""

    def write(kind: str) -> Path:
        path = tmp_path / "media" / f"Änne 🎬 {kind}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(samples[kind])
        return path

    return write
