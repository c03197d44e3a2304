"""Files that are swapped between the check and the reading, by a program that is quick enough."""

import os
from pathlib import Path

import anyio
import pytest
from tests.hostile.traps import SECRET, Traps

from mediagen.errors import InvalidRequestError
from mediagen.media.inputs import InputLoader
from mediagen.media.local_files import read_digest, read_file, resolve_local

SECONDS = 60.0


async def _no_artifact(artifact_id: str) -> Path:
    raise AssertionError(artifact_id)


@pytest.mark.parametrize("swapped", ["a link", "a pipe", "a folder", "a device", "nothing"])
async def test_file_swapped_after_its_check_is_not_read(traps: Traps, swapped: str) -> None:
    named = traps.inside / "named.txt"
    named.write_text("harmless")
    checked = resolve_local(named, "documents", [traps.inside])
    named.unlink()
    match swapped:
        case "a link":
            named.symlink_to(traps.outside / "secret.txt")
        case "a pipe":
            os.mkfifo(named)
        case "a folder":
            named.mkdir()
        case "a device":
            named.symlink_to("/dev/zero")
    for read in (read_file, read_digest):
        with anyio.fail_after(SECONDS), pytest.raises(InvalidRequestError) as refused:
            read(checked, "documents", max_bytes=1000)
        assert refused.value.field == "documents"
        assert SECRET[:12] not in str(refused.value)


async def test_folder_swapped_for_a_link_after_its_check_is_not_followed(traps: Traps) -> None:
    folder = traps.inside / "sub"
    folder.mkdir()
    (folder / "secret.txt").write_text("harmless")
    checked = resolve_local(folder / "secret.txt", "documents", [traps.inside])
    folder.rename(traps.inside / "moved")
    folder.symlink_to(traps.outside)
    with pytest.raises(InvalidRequestError):
        read_file(checked, "documents", max_bytes=1000)


async def test_film_swapped_after_its_check_is_not_sent(traps: Traps) -> None:
    loader = InputLoader(roots=[traps.inside], resolve_artifact=_no_artifact)
    (traps.inside / "a.txt").write_text("harmless")
    loaded = await loader.load_document("a.txt", "documents")
    (traps.inside / "a.txt").unlink()
    (traps.inside / "a.txt").symlink_to(traps.outside / "secret.txt")
    assert SECRET.encode() not in await loaded.read()
