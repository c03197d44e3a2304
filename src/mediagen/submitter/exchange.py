"""One paid request over HTTP: sent once, its answer stored. Standard library only; blocking; runs in a thread."""

import base64
import io
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from mediagen.submitter.answer_file import AnswerFile
from mediagen.submitter.frames import CHUNK_BYTES
from mediagen.submitter.hiding import without_secrets
from mediagen.submitter.tickets import Ticket

REFUSAL_BYTES = 1024 * 1024
TOLD_CHARACTERS = 16 * 1024
TOLD_BYTES = 96 * 1024
_SUCCESS = range(200, 300)
_SIGNED = frozenset({"authorization", "x-goog-api-key", "proxy-authorization", "cookie"})
_OURS = frozenset({"connection", "content-length", "host", "transfer-encoding"})

Result = dict[str, Any]


class _Lines(io.BufferedReader):
    """Remembers the last line that was read."""

    last = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class _Response(HTTPResponse):
    """An answer whose head must be whole: one that is cut would pass for an empty answer otherwise."""

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self._lines = _Lines(self.fp.detach())
        self.fp = self._lines

    def begin(self) -> None:
        super().begin()
        if self._lines.last not in {b"\r\n", b"\n"}:
            raise IncompleteRead(b"")


class Exchange:
    """Takes one request to its end.

    Attributes:
        remaining: Seconds of running time, as `spend` counts them, until the request is given up.
        is_told: Whether its answer was told of, so that nothing more need be said.
    """

    def __init__(
        self,
        head: dict[str, Any],
        body: bytearray,
        *,
        tls: ssl.SSLContext,
        wait: Callable[[], None],
        arrived: Callable[[Result, bytes], bool],
    ) -> None:
        """Prepare it; nothing is sent yet.

        Args:
            head: Of the message that asks for it.
            body: Of the request.
            tls: How servers are recognised.
            wait: Waits for room on the disk.
            arrived: Told of an answer that can be read and is not durable yet, and its body if that is small; returns
                whether it was passed on, and does not wait for anything.
        """
        self._head = head
        self._body = body
        self._tls = tls
        self._wait = wait
        self._arrived = arrived
        self.is_told = False
        self._socket: socket.socket | None = None
        self.remaining = float(head["total_seconds"])

    def spend(self, seconds: float) -> None:
        """Count down, and give the request up at the end; time in which the process was stopped does not count."""
        self.remaining -= seconds
        if self.remaining <= 0 and self._socket:
            try:
                # Not TLS's own shutdown, which would take the keys away from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                self._socket = None

    def run(self) -> Result:
        """Send it and say what came of it: ``answered``, ``never_sent``, ``taken`` or ``lost``."""
        try:
            ticket = Ticket(self._head["folder"], self._head["attempt"], self._head["token"])
        except FileExistsError:
            return {"state": "taken"}
        except OSError as error:
            return _unstored(error)
        try:
            return self._run(ticket)
        except Exception as error:  # noqa: BLE001 - whatever it is, the ticket says whether the request may have left
            # Only the kind of the exception: its text may hold an address.
            return {"state": "lost" if ticket.is_sent else "never_sent", "kind": type(error).__name__}
        finally:
            ticket.close()

    def _run(self, ticket: Ticket) -> Result:
        connection = self._connect()
        try:
            try:
                store = AnswerFile(self._head["folder"], self._head["attempt"], self._wait)
            except OSError as error:
                return _unstored(error)
            try:
                ticket.mark_sent()
            except OSError as error:
                store.discard()
                ticket.take_back()
                return _unstored(error)
            try:
                self._send(connection)
                self._receive(connection, store)
            except BaseException:
                store.abandon()
                raise
            return {"state": "answered", "head": store.head if _is_short(store.head) else None}
        finally:
            connection.close()

    def _connect(self) -> HTTPConnection:
        url = urlsplit(self._head["url"])
        path = url.path or "/"
        target = f"{path}?{url.query}" if url.query else path
        proxy = urlsplit(self._head["proxy"]) if self._head["proxy"] else None
        at = proxy or url
        host, seconds = at.hostname or "", self._head["connect_seconds"]
        connection: HTTPConnection
        if url.scheme == "https":
            connection = HTTPSConnection(host, at.port or (80 if proxy else 443), timeout=seconds, context=self._tls)
            if proxy:
                connection.set_tunnel(url.hostname or "", url.port or 443, headers=_proxy_login(proxy))
        else:
            connection = HTTPConnection(host, at.port or 80, timeout=seconds)
            target = self._head["url"] if proxy else target
        connection.response_class = _Response
        connection.connect()
        self._socket = connection.sock
        # Everything that can be wrong with the request itself is found before it is marked as sent.
        connection.putrequest(self._head["method"], target, skip_host=True, skip_accept_encoding=True)
        for name, value in self._headers(url, proxy):
            connection.putheader(name, value.encode("latin-1"))
        return connection

    def _headers(self, url: SplitResult, proxy: SplitResult | None) -> list[tuple[str, str]]:
        given = self._head["headers"]
        hosts = [value for name, value in given if name.lower() == "host"]
        fixed = {"Host": hosts[0] if hosts else url.netloc.rpartition("@")[2], "Connection": "close"}
        fixed["Content-Length"] = str(len(self._body))
        if proxy and url.scheme == "http":
            fixed.update(_proxy_login(proxy))
        return [*fixed.items(), *((name, value) for name, value in given if name.lower() not in _OURS)]

    def _send(self, connection: HTTPConnection) -> None:
        connection.sock.settimeout(self._head["write_seconds"])
        try:
            connection.endheaders()
            for start in range(0, len(self._body), CHUNK_BYTES):
                connection.sock.sendall(self._body[start : start + CHUNK_BYTES])
        except ConnectionError:
            # Who refuses a request early may close before it is all there; the answer can be read all the same.
            pass
        # Pictures of the request are not kept in memory for minutes.
        self._body = bytearray()
        connection.sock.settimeout(self._head["read_seconds"])

    def _receive(self, connection: HTTPConnection, store: AnswerFile) -> None:
        response = connection.getresponse()
        secrets = self._secrets()
        headers = [
            (name.lower(), without_secrets(value.encode("latin-1", "replace"), secrets).decode("latin-1"))
            for name, value in response.getheaders()
            if name.lower() != "set-cookie"
        ]
        store.start(response.status, headers)
        is_success = response.status in _SUCCESS
        end = self._success(response, store) if is_success else _refusal(response, store, secrets)
        # Giving up ends a body without a length as if it were complete.
        store.end("cut" if self.remaining <= 0 and end == "whole" else end)
        # Whatever is wrong with telling early, the answer is kept.
        with suppress(Exception):
            if store.is_written and _is_short(store.head):
                self.is_told = self._arrived({"state": "arrived", "head": store.head}, store.small_body(TOLD_BYTES))
        store.finish()

    def _success(self, response: HTTPResponse, store: AnswerFile) -> str:
        for chunk, end in _chunks(response):
            store.write(chunk)
            if store.size > self._head["answer_limit"]:
                return "too_large"
            if end:
                return end
        raise AssertionError("a body has an end")

    def _secrets(self) -> list[str]:
        return [value.rpartition(" ")[2] for name, value in self._head["headers"] if name.lower() in _SIGNED]


def _refusal(response: HTTPResponse, store: AnswerFile, secrets: list[str]) -> str:
    body, ended = b"", ""
    for chunk, end in _chunks(response):
        body += chunk
        # The rest of a long refusal says nothing more.
        ended = end or ("whole" if len(body) > REFUSAL_BYTES else "")
        if ended:
            break
    # A refusal may quote the key, which must not come to the disk.
    store.write(without_secrets(body, secrets))
    return ended


def _chunks(response: HTTPResponse) -> Iterator[tuple[bytes, str]]:
    """Pieces of the body, each with an empty word or, the last one, with how it ended: ``whole`` or ``cut``."""
    while True:
        try:
            chunk = response.read1(CHUNK_BYTES)
        except (HTTPException, OSError, ValueError):
            yield b"", "cut"
            return
        if not chunk:
            # A body that ends before its announced length raises nothing.
            yield b"", "cut" if response.length else "whole"
            return
        yield chunk, ""


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}


def _is_short(head: dict[str, Any]) -> bool:
    """Whether the head of an answer fits into what is told; a longer one is read from its file."""
    return sum(len(name) + len(value) for name, value in head["headers"]) < TOLD_CHARACTERS


def _unstored(error: OSError) -> Result:
    return {"state": "never_sent", "kind": type(error).__name__, "errno": error.errno or 0}
