"""Proxies are honoured as httpx does it; certificates and bodies go where they should."""

import os
import socketserver
import threading
from collections.abc import Iterator

import httpx
import pytest
from tests.submitter.conftest import Spool, pytestmark

from mediagen.errors import ConfigurationError, UnavailableError
from mediagen.submitter.routes import certificates, proxy_for
from mediagen.submitter.submitter import DetachedSubmitter

__all__ = ["pytestmark"]

ADDRESSES = ("https://a.example.com/v1", "https://example.com/", "http://example.com/", "https://notexample.com:8443/")
LISTS = (
    "",
    "*",
    "example.com",
    ".example.com",
    "a.example.com, other.org",
    "https://example.com",
    "http://*",
    "all://*.example.com",
    "https://notexample.com:8443",
    "10.0.0.1,::1,localhost",
)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("excepted", LISTS)
def test_proxy_is_the_one_that_httpx_takes(monkeypatch: pytest.MonkeyPatch, excepted: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.proxy:1")
    monkeypatch.setenv("ALL_PROXY", "other.proxy:2")
    monkeypatch.setenv("NO_PROXY", excepted)
    client = httpx.Client()
    for address in ADDRESSES:
        is_direct = client._transport_for_url(httpx.URL(address)) is client._transport
        wanted = "http://secure.proxy:1" if address.startswith("https") else "http://other.proxy:2"
        assert proxy_for(address) == (None if is_direct else wanted), address


def test_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://other.proxy:2")
    assert [proxy_for(f"http://{host}:80/") for host in ("127.0.0.1", "[::1]", "localhost")] == [None] * 3


@pytest.mark.parametrize("proxy", ["socks5://proxy:1", "https://proxy:1"])
def test_proxy_of_another_kind_is_refused_beforehand(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert not DetachedSubmitter().can_reach("https://example.com")
    with pytest.raises(ConfigurationError):
        proxy_for("https://example.com")


def test_certificates_come_from_the_environment_or_from_certifi() -> None:
    both = {"SSL_CERT_FILE": "/a.pem", "SSL_CERT_DIR": "/b"}
    assert certificates(both) == {"cafile": "/a.pem", "capath": None}
    assert certificates({"SSL_CERT_DIR": "/b"}) == {"cafile": None, "capath": "/b"}
    assert str(certificates({})["cafile"]).endswith("cacert.pem")


class Proxy(socketserver.StreamRequestHandler):
    seen: list[bytes]

    def handle(self) -> None:
        lines = list(iter(self.rfile.readline, b"\r\n"))
        self.seen += lines
        self.wfile.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 2\r\n\r\nno")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    Proxy.seen = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setenv("ALL_PROXY", f"http://me:pass%20word@127.0.0.1:{server.server_address[1]}")
        yield Proxy.seen
        server.shutdown()


async def test_proxy_that_refuses_a_tunnel_has_sent_nothing(proxy: list[bytes], spool: Spool) -> None:
    async with DetachedSubmitter() as submitter:
        with pytest.raises(UnavailableError, match="could not be reached"):
            await submitter.send(spool.request("https://google.example.com/v1"))
    assert proxy[0].startswith(b"CONNECT google.example.com:443 ")
    assert b"Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n" in proxy
    assert not any(b"x-goog-api-key" in line.lower() for line in proxy)


async def test_plain_request_names_its_whole_address_to_a_proxy(proxy: list[bytes], spool: Spool) -> None:
    async with DetachedSubmitter() as submitter:
        answer = await submitter.send(spool.request("http://google.example.com/v1?alt=json"))
    assert answer.status_code == 407
    assert proxy[0] == b"POST http://google.example.com/v1?alt=json HTTP/1.1\r\n"
    assert b"Host: google.example.com\r\n" in proxy
