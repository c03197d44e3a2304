"""The submitter: takes requests from its parent on stdin, a socket. Standard library only.

It ends when its parent is gone and its last answer is stored; at once when there is none to wait for.
"""

import os
import select
import signal
import socket
import ssl
import sys
import threading
import time
from typing import Any

from mediagen.submitter import frames
from mediagen.submitter.exchange import Exchange

BUSY_SECONDS = 0.1
IDLE_SECONDS = 1.0
DISK_SECONDS = 0.5
# How long after the end of the parent a full disk is waited for.
ORPHAN_DISK_SECONDS = 3600.0


class Process:
    """Takes requests until the parent is gone."""

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent
        self._parent_id = os.getppid()
        self._is_orphan = False
        self._orphan_seconds = 0.0
        self._running: dict[int, Exchange] = {}
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._untold = bytearray()
        self._ticked = time.monotonic()
        parent.settimeout(IDLE_SECONDS)

    def run(self) -> None:
        """Serve the parent, then end what is on its way."""
        reader = frames.FrameReader(self._parent, self._tick)
        greeting = reader.read()
        tls = self._greet(greeting[0]) if greeting else None
        while tls:
            try:
                message = reader.read()
            except ValueError:
                break
            if message is None:
                break
            self._begin(*message, tls)
            # It holds a large body.
            del message
        self._is_orphan = True
        while self._running:
            time.sleep(BUSY_SECONDS)
            self._tick()

    def _greet(self, greeting: dict[str, Any]) -> ssl.SSLContext | None:
        try:
            self._parent_id = greeting["parent_id"]
            tls = ssl.create_default_context(cafile=greeting["cafile"], capath=greeting["capath"])
            tls.set_alpn_protocols(["http/1.1"])
            # Imported by the first look-up of a name otherwise.
            "warm".encode("idna")
        except OSError as error:
            self._tell({"state": "unusable", "kind": type(error).__name__})
            return None
        self._tell({"state": "ready"})
        return tls

    def _begin(self, head: dict[str, Any], body: bytearray, tls: ssl.SSLContext) -> None:
        number = head["number"]
        exchange = Exchange(
            head,
            body,
            tls=tls,
            wait=self._wait_for_disk,
            arrived=lambda told, body: self._tell_at_once({"number": number, **told}, body),
        )
        with self._lock:
            self._running[number] = exchange
        self._parent.settimeout(BUSY_SECONDS)
        threading.Thread(target=self._finish, args=(number, exchange)).start()

    def _finish(self, number: int, exchange: Exchange) -> None:
        try:
            result = exchange.run()
            if not exchange.is_told:
                self._tell({"number": number, **result})
        finally:
            with self._lock:
                del self._running[number]

    def _tell(self, head: dict[str, Any]) -> None:
        with self._telling:
            self._untold += frames.encode(head)
            while self._untold:
                try:
                    self._tell_more()
                except TimeoutError:
                    if self._is_orphan:
                        return
                except OSError:
                    # Nobody is there any more; the answer is on the disk.
                    return

    def _tell_at_once(self, head: dict[str, Any], body: bytes) -> bool:
        """Tell as far as the parent takes it without being waited for; whether it took all of it."""
        if not self._telling.acquire(blocking=False):
            return False
        try:
            self._untold += frames.encode(head, len(body)) + body
            while self._untold and select.select([], [self._parent], [], 0)[1]:
                self._tell_more()
        except OSError:
            return False
        else:
            return not self._untold
        finally:
            self._telling.release()

    def _tell_more(self) -> None:
        # What is left of half a frame comes before anything else: later ones would be unreadable.
        del self._untold[: self._parent.send(self._untold)]

    def _tick(self) -> bool:
        """Count running time; False when the parent is gone although somebody else holds its end of the socket."""
        now = time.monotonic()
        # A stop of this process or a sleep of the machine shows as one long tick.
        spent, self._ticked = min(now - self._ticked, 2 * BUSY_SECONDS), now
        with self._lock:
            running = list(self._running.values())
        self._parent.settimeout(BUSY_SECONDS if running else IDLE_SECONDS)
        for exchange in running:
            exchange.spend(spent)
        if self._is_orphan:
            self._orphan_seconds += spent
        return os.getppid() == self._parent_id

    def _wait_for_disk(self) -> None:
        if self._orphan_seconds > ORPHAN_DISK_SECONDS:
            raise OSError("the disk stayed full")
        time.sleep(DISK_SECONDS)


def main() -> None:
    """Run on the socket that is stdin."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # The parent's end is what ends this process; a paid answer is not given up for less than SIGKILL.
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as parent:
        # Nothing but this process may keep the socket open.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.close(null)
        Process(parent).run()


if __name__ == "__main__":
    main()
