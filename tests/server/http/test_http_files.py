"""Files that are sent to a server that cannot keep them, or not all of them."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.server.http.conftest import SECRET, HttpServer, StartServer
from tests.server.http.issuer import AUDIENCE, Issuer

from mediagen.server.http.files import MAX_KEPT_BYTES
from mediagen.server.http.links import KEY_FILE, LIFETIME_SECONDS, Links

TEXT = b"a storm over the sea\n"


def post(server: HttpServer, token: str, *, tells_size: bool = True) -> httpx.Response:
    def pieces() -> Iterator[bytes]:
        yield TEXT

    return server.request("POST", "/files", token=token, content=TEXT if tells_size else pieces())


def test_server_whose_disk_takes_no_files_says_so_without_naming_a_folder(start: StartServer, tmp_path: Path):
    server = start(MEDIAGEN_HTTP_TOKEN=SECRET)
    uploads = tmp_path / "state" / "uploads"
    uploads.write_bytes(b"no folder")
    refused = post(server, SECRET)
    assert (refused.status_code, refused.json()["error"]) == (507, "storage_full")
    assert str(tmp_path) not in refused.text
    uploads.unlink()
    assert post(server, SECRET).status_code == 201


@pytest.mark.parametrize("tells_size", [True, False])
def test_files_of_one_caller_take_no_more_than_their_share_of_the_disk(
    start: StartServer, issuer: Issuer, tmp_path: Path, tells_size: bool
):
    server = start(MEDIAGEN_HTTP_ISSUER=issuer.url, MEDIAGEN_HTTP_PUBLIC_URL=AUDIENCE)
    ada, bob = issuer.token("ada"), issuer.token("bob")
    assert post(server, ada).status_code == 201
    [kept] = (tmp_path / "state" / "uploads").glob("*/*")
    with kept.with_suffix(".bin").open("wb") as file:
        os.truncate(file.fileno(), MAX_KEPT_BYTES - len(TEXT))
    before = sorted(kept.parent.iterdir())
    refused = post(server, ada, tells_size=tells_size)
    assert (refused.status_code, refused.json()["error"]) == (507, "storage_full")
    assert sorted(kept.parent.iterdir()) == before, "nothing is left of what was refused"
    assert post(server, bob).status_code == 201


async def test_link_is_gone_after_its_hour_and_missing_without_its_file(start: StartServer, work: Path, tmp_path: Path):
    server = start(MEDIAGEN_HTTP_TOKEN=SECRET)
    async with server.client(SECRET, "auto") as client:
        made = (await client.call_tool("generate_image", {"prompt": "a boat"})).structured_content or {}
    [file] = made["artifacts"]
    links = Links(base_url="", key=(tmp_path / "state" / KEY_FILE).read_bytes())
    old = server.get(links.make(file["artifact_id"], now=time.time() - LIFETIME_SECONDS - 2)[0])
    assert (old.status_code, old.json()["error"]) == (410, "link_expired")
    link = file["url"].removeprefix(server.url)
    assert len(server.get(link).content) == file["size_bytes"]
    for picture in work.rglob("image_*.*"):
        picture.unlink()
    missing = server.get(link)
    assert (missing.status_code, missing.json()["error"]) == (404, "artifact_missing")


def test_file_that_does_not_come_whole_is_not_kept(start: StartServer, tmp_path: Path):
    server = start(MEDIAGEN_HTTP_TOKEN=SECRET)
    uploads = tmp_path / "state" / "uploads"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = (
            f"POST /files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {SECRET}\r\n"
            "Content-Length: 100\r\n\r\n"
        )
        connection.sendall(head.encode() + TEXT)
        wait_until(lambda: len([*uploads.glob("*/*.part")]) == 1)
    wait_until(lambda: not [*uploads.glob("*/*")])


def wait_until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)
