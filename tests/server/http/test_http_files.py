"""Files that are sent to a server that cannot keep them, or not all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.server.http.conftest import SECRET, HttpServer, StartServer
from tests.server.http.issuer import AUDIENCE, Issuer

from mediagen.server.http.files import MAX_KEPT_BYTES

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
