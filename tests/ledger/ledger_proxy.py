"""Stands between the ledger and a PostgreSQL server, and cuts the line at a given word."""

import selectors
import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

PIECE = 65536
ANSWER_SECONDS = 10.0


@dataclass
class Cut:
    word: bytes
    forward: bool
    refuse_afterwards: bool


class Proxy:
    """Listens on a socket in a folder of its own.

    Attributes:
        cuts: How often the line was cut.
    """

    def __init__(self, server: Path) -> None:
        self.cuts = 0
        self._server = server
        self._cut: Cut | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="px", dir="/tmp"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / server.name))
        self._listener.listen(50)
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    def cut_at(self, word: bytes, *, forward: bool, refuse_afterwards: bool = False) -> None:
        """Cut once, when a client sends this word: before or after the server got it."""
        self._cut = Cut(word, forward, refuse_afterwards)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop_listening()
        for line in list(self._open):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(ANSWER_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, work: "object", *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type] # a method
        self._threads.append(thread)
        thread.start()

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._relay, client)

    def _relay(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
            server.connect(str(self._server))
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                selector.register(source, selectors.EVENT_READ, sink)
            with suppress(OSError):
                while self._pass_on(selector, client):
                    pass
            self._open -= {client, server}

    def _pass_on(self, selector: selectors.BaseSelector, client: socket.socket) -> bool:
        for key, _ in selector.select():
            source, sink = key.fileobj, key.data
            assert isinstance(source, socket.socket)
            data = source.recv(PIECE)
            if not data:
                return False
            if source is client and self._cut and self._cut.word in data:
                self._cut_line(data, sink)
                return False
            sink.sendall(data)
        return True

    def _cut_line(self, data: bytes, server: socket.socket) -> None:
        cut, self._cut = self._cut, None
        assert cut
        if cut.refuse_afterwards:
            self._stop_listening()
        if cut.forward:
            server.sendall(data)
            server.settimeout(ANSWER_SECONDS)
            with suppress(TimeoutError):
                server.recv(PIECE)
        self.cuts += 1
