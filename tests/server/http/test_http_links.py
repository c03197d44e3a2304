"""Links to files and files that were sent: how long they hold, and what lies on the disk."""

import os
import stat
import time
from pathlib import Path

import anyio
import pytest
from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState

from mediagen.errors import ConfigurationError, InvalidRequestError
from mediagen.server.http import links as links_module
from mediagen.server.http.links import KEY_FILE, LIFETIME_SECONDS, Links, links_of, state_security
from mediagen.settings import Settings, read_settings
from mediagen.storage.uploads import KEPT_SECONDS, Uploads

UPLOAD = f"upl_{'0' * 26}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    links_module._key.cache_clear()
    return read_settings({"MEDIAGEN_STATE_DIR": str(tmp_path / "state"), "MEDIAGEN_CONFIG": ""})


def parts(url: str) -> tuple[str, str]:
    query = dict(part.split("=") for part in url.partition("?")[2].split("&"))
    return query["expires"], query["signature"]


def test_a_link_holds_for_an_hour_and_says_so():
    links = Links(base_url="https://media.example.com", key=b"k" * 32)
    url, expires_at = links.make("art_1", now=1000)
    expires, signature = parts(url)
    assert url.startswith("https://media.example.com/files/art_1?")
    assert expires_at.timestamp() == int(expires) == 1000 + LIFETIME_SECONDS
    assert links.check("art_1", expires, signature, now=1000 + LIFETIME_SECONDS) == "good"
    assert links.check("art_1", expires, signature, now=1001 + LIFETIME_SECONDS) == "expired"


def test_a_link_is_wrong_for_another_file_time_or_key():
    links = Links(base_url="", key=b"k" * 32)
    expires, signature = parts(links.make("art_1", now=1000)[0])
    assert links.check("art_2", expires, signature, now=1000) == "wrong"
    assert links.check("art_1", str(int(expires) + 1), signature, now=1000) == "wrong"
    assert links.check("art_1", f"0{expires}", signature, now=1000) == "wrong"
    assert links.check("art_1", "", "", now=1000) == "wrong"
    assert links.check("art_1", "\ud800", "\ud800", now=1000) == "wrong"
    assert Links(base_url="", key=b"l" * 32).check("art_1", expires, signature, now=1000) == "wrong"


def test_the_key_is_the_users_alone_and_stays(settings: Settings):
    key = links_of(settings).key
    file = settings.folder_for_state() / KEY_FILE
    links_module._key.cache_clear()
    assert links_of(settings).key == key == file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [KEY_FILE]


async def test_several_that_need_the_key_at_once_have_the_same(settings: Settings):
    found: list[bytes] = []
    path = settings.folder_for_state() / KEY_FILE

    async def ask() -> None:
        found.append(await anyio.to_thread.run_sync(links_module._key.__wrapped__, path))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
    assert len(set(found)) == 1


def test_a_damaged_key_is_named(settings: Settings):
    file = settings.folder_for_state() / KEY_FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(b"short")
    with pytest.raises(ConfigurationError, match=KEY_FILE):
        links_of(settings)


def test_a_key_that_cannot_be_read_is_named(settings: Settings):
    (settings.folder_for_state() / KEY_FILE).mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=f"{KEY_FILE}.*IsADirectoryError"):
        links_of(settings)


def test_what_seals_questions_does_not_sign_links(settings: Settings):
    state = state_security(settings).codec.seal(b"state")
    with pytest.raises(InvalidRequestState):
        AESGCMRequestStateCodec([links_of(settings).key]).unseal(state)
    links_module._key.cache_clear()
    assert state_security(settings).codec.unseal(state) == b"state"


async def test_a_file_that_was_sent_is_gone_after_a_day(tmp_path: Path):
    uploads = Uploads(root=tmp_path, principal="ada")
    folder = await uploads.make_folder()
    kept = folder / f"{UPLOAD}.png"
    kept.write_bytes(b"x")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert await uploads.path(UPLOAD) == kept
    old = time.time() - KEPT_SECONDS - 1
    os.utime(kept, (old, old))
    with pytest.raises(InvalidRequestError, match="24 hours"):
        await uploads.path(UPLOAD)
    await Uploads(root=tmp_path, principal="bob").sweep()
    assert not kept.exists()


@pytest.mark.parametrize("upload_id", ["", "..", f"../{UPLOAD}", "*", "upl_*", f"{UPLOAD}*", f"{UPLOAD}/..", "upl_\0"])
async def test_an_id_that_is_none_finds_no_file(tmp_path: Path, upload_id: str):
    uploads = Uploads(root=tmp_path)
    (await uploads.make_folder() / f"{UPLOAD}.png").write_bytes(b"x")
    with pytest.raises(InvalidRequestError, match="There is no uploaded file"):
        await uploads.path(upload_id)


async def test_a_file_that_is_still_coming_is_not_found(tmp_path: Path):
    uploads = Uploads(root=tmp_path)
    (await uploads.make_folder() / f"{UPLOAD}.part").write_bytes(b"x")
    with pytest.raises(InvalidRequestError):
        await uploads.path(UPLOAD)
