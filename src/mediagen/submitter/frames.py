"""Messages between the server and its submitter: a small JSON head and a body. Standard library only."""

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

_SIZES = struct.Struct("!IQ")
PREFIX_BYTES = _SIZES.size
MAX_HEAD_BYTES = 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


def encode(head: dict[str, Any], body_size: int = 0) -> bytes:
    """What goes before a body of so many bytes."""
    text = json.dumps(head).encode()
    return _SIZES.pack(len(text), body_size) + text


def sizes(prefix: bytes | bytearray) -> tuple[int, int]:
    """Bytes of head and body that a prefix announces.

    Raises:
        ValueError: They are not possible.
    """
    head, body = _SIZES.unpack(prefix)
    if head > MAX_HEAD_BYTES or body > MAX_BODY_BYTES:
        raise ValueError("the frame is too large")
    return head, body


def read_head(text: bytes | bytearray) -> dict[str, Any]:
    """The head of a message.

    Raises:
        ValueError: It is none.
    """
    head = json.loads(text)
    if not isinstance(head, dict):
        raise ValueError("the head of a frame is an object")  # noqa: TRY004 - bad input, not a bad call
    return head


class FrameReader:
    """Takes whole messages from a socket with a time-out; `tick` is called at least that often meanwhile."""

    def __init__(self, source: socket.socket, tick: Callable[[], bool]) -> None:
        self._source = source
        self._tick = tick

    def read(self) -> tuple[dict[str, Any], bytearray] | None:
        """Next message; None when the other side is gone, also in the middle of one, or `tick` says so."""
        prefix = self._exactly(PREFIX_BYTES)
        if prefix is None:
            return None
        head_size, body_size = sizes(prefix)
        head, body = self._exactly(head_size), self._exactly(body_size)
        return None if head is None or body is None else (read_head(head), body)

    def _exactly(self, size: int) -> bytearray | None:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                count = self._source.recv_into(rest)
            except TimeoutError:
                if not self._tick():
                    return None
                continue
            except ConnectionError:
                return None
            if not count:
                return None
            rest = rest[count:]
        return data
