import hashlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from mediagen.addresses import is_public, literal
from mediagen.errors import ConfigurationError, InvalidRequestError, MediaError, MediaGenError, UnavailableError
from mediagen.media.fetch import FetchedMedia, FetchSettings, fetch_media

DATA = Path(__file__).parent.parent / "data"
FILM = (DATA / "bigbuckbunny.mp4").read_bytes()
VIDEO = frozenset({"video"})
SECRET = "X-Goog-Signature=s3cr3t"
PUBLIC = "93.184.215.14"

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@dataclass
class Stub:
    """A server on loopback; `answers` by path, everything it was asked in `asked`."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def serve(context: ssl.SSLContext | None = None) -> Iterator[Stub]:
    answering: Stub

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answering.asked.append((self.path, headers))
            with suppress(OSError):
                answering.answers[urlsplit(self.path).path](self)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    answering = Stub(port=server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield answering
    answering.over.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def stub() -> Iterator[Stub]:
    yield from serve()


def sends(data: bytes, *, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"content-length": str(len(data)), **named}.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def leads_to(where: str, status: int = 302) -> Answer:
    return sends(b"", status=status, location=where)


def drips(stub: Stub, first: bytes, then: bytes, pause: float) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(first)
        while not stub.over.wait(pause):
            handler.wfile.write(then)
            handler.wfile.flush()

    return answer


LOCAL = FetchSettings(allow_hosts=frozenset({"127.0.0.1", "localhost"}), stall_seconds=5, deadline_seconds=10)


async def fetch(url: str, target: Path, settings: FetchSettings = LOCAL, **options: Any) -> FetchedMedia:
    with anyio.fail_after(15):
        return await fetch_media(url, target, **{"max_bytes": 10_000_000, "kinds": VIDEO, **options}, settings=settings)


async def refused(
    url: str,
    tmp_path: Path,
    settings: FetchSettings = LOCAL,
    *,
    kind: type[MediaGenError] = InvalidRequestError,
    **options: Any,
) -> MediaGenError:
    """Fetch in vain; nothing may be left, and nothing of the query may be told."""
    target = tmp_path / "film.mp4"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(kind) as raised:
        await fetch(url, target, settings, **options)
    assert sorted(tmp_path.iterdir()) == before
    error: BaseException | None = raised.value
    while error:
        assert "s3cr3t" not in f"{error!r} {error}"
        error = error.__cause__
    assert isinstance(raised.value, MediaGenError)
    return raised.value


def answers_with(*addresses: str) -> tuple[Callable[[str, int], Any], list[str]]:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        if not addresses:
            raise OSError("unknown")
        return addresses

    return resolve, asked


# ---------------------------------------------------------------- what arrives


async def test_fetch_brings_the_file_and_says_what_it_is(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = sends(FILM, content_type="text/plain")
    told: list[tuple[int, int | None]] = []

    async def on_progress(size: int, total: int | None) -> None:
        told.append((size, total))

    target = tmp_path / "film 🎬.mp4"
    found = await fetch(stub.url(f"/film?a=1&{SECRET}%2B"), target, on_progress=on_progress)
    digest = hashlib.sha256(FILM).hexdigest()
    assert found == FetchedMedia(path=target, mime_type="video/mp4", size_bytes=len(FILM), sha256=digest)
    assert target.read_bytes() == FILM
    assert told[-1] == (len(FILM), len(FILM))
    assert sorted(told) == told
    assert list(tmp_path.iterdir()).count(target) == 1
    [(path, headers)] = stub.asked
    assert path == f"/film?a=1&{SECRET}%2B"
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == f"127.0.0.1:{stub.port}"
    assert not {"authorization", "cookie", "referer", "x-goog-api-key"} & headers.keys()


async def test_fetch_replaces_only_by_a_whole_file(stub: Stub, tmp_path: Path) -> None:
    target = tmp_path / "film.mp4"
    target.write_bytes(b"old")
    stub.answers["/film"] = sends(FILM[:1000], content_length="5000")
    with pytest.raises(UnavailableError):
        await fetch(stub.url("/film"), target)
    assert target.read_bytes() == b"old"
    stub.answers["/film"] = sends(FILM)
    await fetch(stub.url("/film"), target)
    assert target.read_bytes() == FILM


@pytest.mark.parametrize("kinds", [{"video/mp4"}, {"image", "video"}])
async def test_fetch_takes_types_and_families(stub: Stub, tmp_path: Path, kinds: set[str]) -> None:
    stub.answers["/film"] = sends(FILM)
    assert (await fetch(stub.url("/film"), tmp_path / "a", kinds=frozenset(kinds))).mime_type == "video/mp4"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<!DOCTYPE html><html>Log in</html>", "a web page"),
        (b'\n {"error": "s3cr3t"}', "a JSON answer"),
        (b"<?xml version='1.0'?><Error/>", "an XML answer"),
        ((DATA / "chelsea.png").read_bytes(), "image/png"),
        (b"MZ" + bytes(5000), "nothing of a known format"),
        (b"", "nothing"),
    ],
)
async def test_fetch_refuses_what_is_not_a_video_whatever_it_calls_itself(
    stub: Stub, tmp_path: Path, body: bytes, told: str
) -> None:
    stub.answers["/film.mp4"] = sends(body, content_type="video/mp4")
    error = await refused(stub.url(f"/film.mp4?{SECRET}"), tmp_path)
    assert f"holds {told}" in str(error)


async def test_fetch_stops_at_the_wrong_type_without_taking_the_rest(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = drips(stub, b"<html>" + b" " * 300_000, b" ", 0.01)
    error = await refused(stub.url("/film"), tmp_path, replace(LOCAL, deadline_seconds=9))
    assert error.code == "source_wrong_type"


# ---------------------------------------------------------------- limits


async def test_fetch_refuses_an_announced_size_before_the_body(stub: Stub, tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(10**13))
        handler.end_headers()
        stub.over.wait(10)

    stub.answers["/film"] = answer
    error = await refused(stub.url(f"/film?{SECRET}"), tmp_path)
    assert error.code == "input_too_large"


async def test_fetch_stops_an_endless_body_at_the_limit(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = drips(stub, FILM[:100_000], bytes(100_000), 0.001)
    error = await refused(stub.url("/film"), tmp_path, max_bytes=2_000_000)
    assert error.code == "input_too_large"


async def test_fetch_gives_up_on_a_server_that_drips(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = drips(stub, FILM[:5000], b"\0", 0.02)
    started = time.monotonic()
    error = await refused(
        stub.url(f"/film?{SECRET}"), tmp_path, replace(LOCAL, deadline_seconds=0.4), kind=UnavailableError
    )
    assert error.code == "fetch_timeout"
    assert error.retryable
    assert time.monotonic() - started < 5


async def test_fetch_gives_up_on_a_server_that_falls_silent(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = drips(stub, FILM[:5000], b"\0", 60)
    error = await refused(
        stub.url(f"/film?{SECRET}"), tmp_path, replace(LOCAL, stall_seconds=0.2), kind=UnavailableError
    )
    assert "sent nothing for 0.2 s" in str(error)


@pytest.mark.parametrize("chunked", [False, True])
async def test_fetch_notices_a_cut_off_file(stub: Stub, tmp_path: Path, chunked: bool) -> None:
    body = b"FFFF\r\n" + FILM[:3000] if chunked else FILM[:3000]
    stub.answers["/film"] = (
        sends(body, content_length="", transfer_encoding="chunked") if chunked else sends(body, content_length="9000")
    )
    error = await refused(stub.url(f"/film?{SECRET}"), tmp_path, kind=UnavailableError)
    assert error.retryable


async def test_fetch_refuses_a_packed_body(stub: Stub, tmp_path: Path) -> None:
    import gzip

    stub.answers["/film"] = sends(gzip.compress(bytes(10_000_000)), content_encoding="gzip")
    error = await refused(stub.url("/film"), tmp_path)
    assert error.code == "source_packed"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, InvalidRequestError), (403, InvalidRequestError), (206, InvalidRequestError), (204, InvalidRequestError),
     (304, InvalidRequestError), (429, UnavailableError), (500, UnavailableError), (503, UnavailableError)],
)  # fmt: skip
async def test_fetch_tells_a_refusal_from_a_bad_moment(
    stub: Stub, tmp_path: Path, status: int, kind: type[MediaGenError]
) -> None:
    stub.answers["/film"] = sends(b"", status=status)
    error = await refused(stub.url(f"/film?{SECRET}"), tmp_path, kind=kind)
    assert str(status) in str(error)
    assert len(stub.asked) == 1


async def test_fetch_removes_its_part_when_it_is_cancelled(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = drips(stub, FILM[:300_000], b"", 60)
    with anyio.move_on_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(fetch, stub.url("/film"), tmp_path / "film.mp4")
            while not list(tmp_path.glob(".mediagen-fetch-*")):
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    assert not list(tmp_path.glob("*.mp4")) + list(tmp_path.glob(".mediagen*"))


async def test_fetch_into_a_missing_folder_is_our_error(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = sends(FILM)
    with pytest.raises(MediaError, match=r"could not be written"):
        await fetch(stub.url("/film"), tmp_path / "gone" / "film.mp4")


# ---------------------------------------------------------------- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_fetch_follows_redirects(stub: Stub, tmp_path: Path, status: int) -> None:
    stub.answers["/a"] = leads_to("b/c?d=%2F", status)
    stub.answers["/b/c"] = leads_to("/film")
    stub.answers["/film"] = sends(FILM)
    assert (await fetch(stub.url("/a"), tmp_path / "film.mp4")).size_bytes == len(FILM)
    assert [path for path, _ in stub.asked] == ["/a", "/b/c?d=%2F", "/film"]


async def test_fetch_follows_at_most_five_redirects(stub: Stub, tmp_path: Path) -> None:
    for n in range(5):
        stub.answers[f"/{n}"] = leads_to(f"/{n + 1}")
    stub.answers["/5"] = sends(FILM)
    await fetch(stub.url("/0"), tmp_path / "film.mp4")
    (tmp_path / "film.mp4").unlink()
    stub.answers["/5"] = leads_to(f"/0?{SECRET}")
    stub.asked.clear()
    error = await refused(stub.url("/0"), tmp_path)
    assert error.code == "bad_redirect"
    assert len(stub.asked) == 6


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("https://169.254.169.254/computeMetadata/v1/", "private_address"),
        ("http://169.254.169.254/computeMetadata/v1/", "not_https"),
        ("https://[fd00:ec2::254]/latest/meta-data", "private_address"),
        ("https://metadata.google.internal/", "private_address"),
        ("https://2852039166/", "private_address"),
        ("file:///etc/passwd", "not_https"),
        ("gs://bucket/object", "not_https"),
        ("https://user:s3cr3t@example.com/", "invalid_request"),
        ("https://example.com:99999/", "invalid_request"),
    ],
)
async def test_fetch_checks_where_a_redirect_leads(stub: Stub, tmp_path: Path, where: str, code: str) -> None:
    stub.answers["/a"] = leads_to(where)
    error = await refused(stub.url(f"/a?{SECRET}"), tmp_path)
    assert error.code == code


async def test_fetch_of_an_unreadable_redirect_is_our_error(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/a"] = leads_to("https://example.com:s3cr3t/")
    await refused(stub.url(f"/a?{SECRET}"), tmp_path, kind=UnavailableError)


# ---------------------------------------------------------------- where nothing may be fetched from


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1", "0", "0.0.0.0",
        "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.100.100.200", "100.64.0.1", "168.63.129.16",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1",
        "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]",
        "[2002:7f00:1::]", "[2001:db8::1]", "[fec0::1]",
        "localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata", "metadata.google.internal", "router.lan",
        "printer.local", "intranet",
    ],
)  # fmt: skip
@pytest.mark.parametrize("proxied", [False, True])
async def test_fetch_refuses_hosts_of_private_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, proxied: bool
) -> None:
    if proxied:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    resolve, asked = answers_with(PUBLIC)
    error = await refused(f"https://{host}/film.mp4?{SECRET}", tmp_path, FetchSettings(resolve=resolve))
    # Some spellings are no address at all to the HTTP client.
    assert error.code == ("invalid_request" if host.startswith("0177") else "private_address")
    assert isinstance(error, InvalidRequestError)
    assert error.field == "video"
    assert not asked


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["169.254.169.254"],
        ["2606:2800:220:1::1", "::ffff:192.168.0.1"],
        ["fe80::1%eth0"],
        ["nonsense"],
    ],
)
async def test_fetch_refuses_names_that_lead_to_private_networks(
    stub: Stub, tmp_path: Path, addresses: list[str]
) -> None:
    resolve, asked = answers_with(*addresses)
    url = stub.url(f"/film?{SECRET}", host="films.example.com", scheme="https")
    error = await refused(url, tmp_path, FetchSettings(resolve=resolve))
    assert error.code == "private_address"
    assert asked == ["films.example.com"]
    assert not stub.asked


async def test_fetch_of_an_unknown_host_may_be_tried_again(tmp_path: Path) -> None:
    resolve, _ = answers_with()
    settings = FetchSettings(resolve=resolve)
    error = await refused(f"https://gone.example.com/?{SECRET}", tmp_path, settings, kind=UnavailableError)
    assert "'gone.example.com' was not found" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.mp4?s3cr3t",
        "ftp://example.com/",
        "https://",
        "",
        "https://a b/",
        "/etc/passwd",
        "https://u:s3cr3t@example.com/a",
    ],
)
async def test_fetch_refuses_other_addresses(tmp_path: Path, url: str) -> None:
    resolve, asked = answers_with(PUBLIC)
    error = await refused(url, tmp_path, FetchSettings(resolve=resolve, field="source"))
    assert isinstance(error, InvalidRequestError)
    assert error.field == "source"
    assert not asked


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_is_public_lets_the_internet_pass(address: str) -> None:
    assert is_public(address)


def test_literal_reads_numbers_only() -> None:
    assert literal("0x7f.1") == "127.0.0.1"
    assert literal("[::1]") == "::1"
    assert [literal(name) for name in ("example.com", "1.example.com", "3com.com", "a", "")] == [None] * 5
    assert ip_address(literal("2130706433") or "").is_loopback


# ---------------------------------------------------------------- TLS to the address that was checked


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate, its own authority, for films.example.com only."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "films.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("films.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_stub(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    yield from serve(context)


async def test_fetch_connects_to_the_checked_address_and_verifies_the_name(tls_stub: Stub, tmp_path: Path) -> None:
    tls_stub.answers["/film"] = sends(FILM)
    resolve, asked = answers_with("127.0.0.1", "10.9.9.9")
    settings = replace(LOCAL, resolve=resolve, allow_hosts=frozenset({"films.example.com"}))
    url = tls_stub.url("/film", host="films.example.com", scheme="https")
    assert (await fetch(url, tmp_path / "film.mp4", settings)).size_bytes == len(FILM)
    # Once: a second look-up could give another address than the one that was checked.
    assert asked == ["films.example.com"]
    assert tls_stub.asked[0][1]["host"] == f"films.example.com:{tls_stub.port}"


async def test_fetch_refuses_a_certificate_of_another_name(tls_stub: Stub, tmp_path: Path) -> None:
    resolve, _ = answers_with("127.0.0.1")
    settings = replace(LOCAL, resolve=resolve, allow_hosts=frozenset({"other.example.com"}))
    url = tls_stub.url(f"/film?{SECRET}", host="other.example.com", scheme="https")
    await refused(url, tmp_path, settings, kind=UnavailableError)
    assert not tls_stub.asked


async def test_fetch_tries_the_next_address_when_one_does_not_answer(stub: Stub, tmp_path: Path) -> None:
    stub.answers["/film"] = sends(FILM)
    resolve, _ = answers_with("127.0.0.2" if os.name == "posix" else "127.0.0.1", "127.0.0.1")
    settings = replace(LOCAL, resolve=resolve, allow_hosts=frozenset({"films.example.com"}))
    await fetch(stub.url("/film", host="films.example.com"), tmp_path / "film.mp4", settings)
    assert len(stub.asked) == 1


# ---------------------------------------------------------------- proxies and logs


async def test_fetch_goes_through_the_proxy_of_the_environment(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", stub.url(""))
    stub.answers["/film"] = sends(FILM)
    resolve, asked = answers_with(PUBLIC)
    settings = replace(LOCAL, resolve=resolve, allow_hosts=frozenset({"films.example.com"}))
    await fetch("http://films.example.com/film", tmp_path / "film.mp4", settings)
    assert stub.asked[0][0] == "http://films.example.com/film"
    assert not asked
    monkeypatch.setenv("NO_PROXY", "example.com")
    resolve, asked = answers_with("127.0.0.1")
    await fetch(stub.url("/film", host="films.example.com"), tmp_path / "b.mp4", replace(settings, resolve=resolve))
    assert asked == ["films.example.com"]
    assert stub.asked[1][0] == "/film"


async def test_fetch_with_an_unusable_proxy_names_the_variable_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://user:s3cr3t@proxy.example:1")
    error = await refused("https://films.example.com/film", tmp_path, kind=ConfigurationError)
    assert "HTTPS_PROXY" in str(error)


async def test_fetch_never_logs_a_signature(stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stub.answers["/a"] = leads_to(f"/film?{SECRET}")
    stub.answers["/film"] = sends(FILM)
    with caplog.at_level(logging.DEBUG):
        await fetch(stub.url(f"/a?{SECRET}"), tmp_path / "film.mp4")
    assert "fetched" in caplog.text
    assert "s3cr3t" not in caplog.text
