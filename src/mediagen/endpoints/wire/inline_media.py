"""Takes files out of JSON while it arrives, so that a clip inside an answer is never held in memory. Pure.

Google sends finished files as base64 inside JSON. `InlineMediaScanner` is fed the answer in pieces of any size. It
hands out the decoded bytes of each file as they come, and keeps the rest, the skeleton, with `"inline:<n>"` where the
base64 of the n-th file was. Of a `data:` address, what stands before the base64 is kept, too.
"""

import binascii
import json
import re
from collections.abc import Iterator

KEYS = frozenset({"data", "bytesBase64Encoded", "bytes_base64_encoded"})
DATA_URL_KEY = "url"
DAMAGED = "inline:damaged"

_LONGEST_KEY_BYTES = 128  # each character of a key may be written as six: \u0064
_LONGEST_DATA_HEAD_BYTES = 128
_DATA_HEAD = re.compile(rb"data:[^,]*;base64,")
_REFERENCE = re.compile(r"inline:(\d{1,9})")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_UNFINISHED_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_SIMPLE_ESCAPES = {b"/": b"/", b"n": b"", b"r": b"", b"t": b""}
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\r\n"


def inline_number(value: object) -> int | None:
    """Number of the file that a value of a skeleton stands for; None when it stands for none that can be read."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None


class InlineMediaScanner:
    """Splits one JSON document into files and a skeleton. Values that are no text pass untouched."""

    def __init__(self, *, takes_data_urls: bool = False) -> None:
        """Begin a document.

        Args:
            takes_data_urls: Whether a ``url`` that holds its file in base64 counts as one.
        """
        self._takes_data_urls = takes_data_urls
        self._skeleton = bytearray()
        self._between = b""  # the first signs since the last string, without white space
        self._last_string: bytes | None = None  # None when it was too long for a key
        self._in_string = False
        self._after_backslash = False
        self._data_head: bytes | None = None  # of a string that may turn out to hold a file
        self._file: _Base64Decoder | None = None
        self._file_number: int | None = None
        self.file_count = 0

    @property
    def skeleton(self) -> bytes:
        """The document without its files, as far as it has arrived."""
        return bytes(self._skeleton)

    @property
    def skeleton_size(self) -> int:
        """Length of the skeleton in bytes."""
        return len(self._skeleton)

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Take the next piece of the document; gives the number of a file, from 0 on, and bytes to add to it.

        The iterator must be run to its end before the next piece is fed.
        """
        position = 0
        while position < len(chunk):
            if not self._in_string:
                position = self._outside(chunk, position)
                continue
            end = self._end_of_string(chunk, position)
            piece = chunk[position : len(chunk) if end is None else end]
            if self._data_head is not None:
                piece = self._after_data_head(piece, is_end=end is not None)
            if self._file is None:
                self._keep(piece)
            elif decoded := self._file.feed(piece):
                yield self._number(), decoded
            if end is None:
                return
            if self._file is not None and (decoded := self._file.finish()):
                yield self._number(), decoded
            self._close_string()
            position = end + 1

    def _outside(self, chunk: bytes, position: int) -> int:
        """Go to the next string, and find out whether it is a file."""
        quote = chunk.find(b'"', position)
        between = chunk[position : len(chunk) if quote < 0 else quote]
        self._skeleton += between
        self._between = (self._between + between.translate(None, _WHITESPACE)[:2])[:2]
        if quote < 0:
            return len(chunk)
        key = _text(self._last_string) if self._between == b":" and self._last_string is not None else ""
        self._file = _Base64Decoder() if key in KEYS else None
        self._data_head = b"" if self._takes_data_urls and key == DATA_URL_KEY else None
        self._last_string = b""
        self._in_string, self._after_backslash = True, False
        self._skeleton += b'"'
        return quote + 1

    def _end_of_string(self, chunk: bytes, start: int) -> int | None:
        """Find the closing quote; each byte is looked at a fixed number of times, however many quotes are escaped."""
        while True:
            quote = chunk.find(b'"', start)
            end = len(chunk) if quote < 0 else quote
            backslashes = _trailing_backslashes(chunk, start, end)
            reaches_start = backslashes == end - start
            escaped = (backslashes + (self._after_backslash and reaches_start)) % 2 == 1
            self._after_backslash = escaped and quote < 0
            if quote < 0:
                return None
            if not escaped:
                return quote
            start = quote + 1

    def _after_data_head(self, piece: bytes, *, is_end: bool) -> bytes:
        """Wait until it is known whether a string holds a file, and give what comes after that."""
        text = (self._data_head or b"") + piece
        head = text[: text.find(b",") + 1]
        if not head and not is_end and len(text) <= _LONGEST_DATA_HEAD_BYTES:
            self._data_head = text
            return b""
        self._data_head = None
        if len(head) <= _LONGEST_DATA_HEAD_BYTES and _DATA_HEAD.fullmatch(head):
            self._skeleton += head
            self._file = _Base64Decoder()
            return text[len(head) :]
        return text

    def _keep(self, piece: bytes) -> None:
        self._skeleton += piece
        if self._last_string is not None:
            is_short = len(self._last_string) + len(piece) <= _LONGEST_KEY_BYTES
            self._last_string = self._last_string + piece if is_short else None

    def _number(self) -> int:
        if self._file_number is None:
            self._file_number = self.file_count
            self.file_count += 1
        return self._file_number

    def _close_string(self) -> None:
        if self._file is not None:
            if self._file.is_damaged:
                self._skeleton += DAMAGED.encode()
            elif self._file_number is not None:
                self._skeleton += f"inline:{self._file_number}".encode()
            self._last_string = None
        self._skeleton += b'"'
        self._file = self._file_number = None
        self._in_string, self._between = False, b""


class _Base64Decoder:
    """Decodes the inside of one JSON string piece by piece; after damage it gives nothing more."""

    def __init__(self) -> None:
        self.is_damaged = False
        self._escape = b""
        self._rest = b""
        self._padding = 0

    def feed(self, piece: bytes) -> bytes:
        """Give what can be decoded by now."""
        if self._escape or b"\\" in piece:
            piece = self._unescaped(self._escape + piece)
        if self.is_damaged:
            return b""
        signs, _, padding = piece.partition(b"=")
        if len(signs) != len(piece):
            padding = b"=" + padding
        if (self._padding and signs) or padding.strip(b"="):
            return self._damaged()
        self._padding += len(padding)
        text = self._rest + signs if self._rest else signs
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        return self._decoded(text[:whole])

    def finish(self) -> bytes:
        """Give the last bytes."""
        excess = self._padding > (-len(self._rest)) % 4
        if self._escape or len(self._rest) == 1 or excess:
            return self._damaged()
        return b"" if self.is_damaged else self._decoded(self._rest + b"=" * (-len(self._rest) % 4))

    def _unescaped(self, piece: bytes) -> bytes:
        if b"\\\\" in piece:  # an escaped backslash, which base64 does not have
            return self._damaged()
        piece = piece.replace(b"\\/", b"/")
        unfinished = _UNFINISHED_ESCAPE.search(piece)
        self._escape = unfinished[0] if unfinished else b""
        return _ESCAPE.sub(_meaning, piece[: len(piece) - len(self._escape)])

    def _decoded(self, text: bytes) -> bytes:
        if not text:
            return b""
        try:
            if b"-" in text or b"_" in text:
                text = text.translate(_STANDARD_ALPHABET)
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            return self._damaged()

    def _damaged(self) -> bytes:
        self.is_damaged = True
        return b""


def _meaning(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        sign = chr(int(escape[1], 16))
        # Anything that base64 does not have is left to be found as damage.
        return b"" if sign in "\r\n\t" else sign.encode() if sign.isascii() else b"?"
    return _SIMPLE_ESCAPES.get(escape[2], b"?")


def _trailing_backslashes(chunk: bytes, start: int, end: int) -> int:
    count = 0
    while end - count > start and chunk[end - count - 1] == 0x5C:
        count += 1
    return count


def _text(raw: bytes) -> str:
    """The meaning of the inside of a JSON string, as far as it may be a key that is looked for."""
    if b"\\" not in raw:
        return raw.decode("latin-1")
    try:
        found = json.loads(b'"' + raw + b'"')
    except ValueError:
        return ""
    return found if isinstance(found, str) else ""
