"""What the headers of a download say of the whole file. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

Checksum = tuple[Literal["md5", "crc32c"], str]
_MD5 = re.compile(r"[A-Za-z0-9+/]{22}==")
_CRC32C = re.compile(r"[A-Za-z0-9+/]{6}==")
_MAX_ETAG = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A file at Google, as far as it is known.

    Attributes:
        etag: Changes with the content; weak ones begin with ``W/``.
        length: In bytes.
        md5: Of the whole, in base64.
        crc32c: Of the whole, in base64.
    """

    NAMES: ClassVar = frozenset({"etag", "length", "md5", "crc32c"})

    etag: str = ""
    length: int | None = None
    md5: str = ""
    crc32c: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str], *, length: int | None) -> "Remote":
        """Read the headers of an answer.

        Checksums come as ``x-goog-hash: crc32c=…, md5=…`` and speak of the whole file, also in the answer to a range.
        Source: https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash (checked 2026-11-21).
        """
        hashes = dict(part.strip().partition("=")[::2] for part in headers.get("x-goog-hash", "").split(","))
        if headers.get("content-encoding", "identity") != "identity" or "x-goog-stored-content-encoding" in headers:
            # What is packed at Google has the checksum of its packed form.
            is_plain = headers.get("x-goog-stored-content-encoding", "identity") == "identity"
            hashes = hashes if is_plain and headers.get("content-encoding", "identity") == "identity" else {}
        etag = headers.get("etag", "")
        return cls(
            etag=etag if len(etag) <= _MAX_ETAG else "",
            length=length,
            md5=_fitting(_MD5, hashes.get("md5", "")),
            crc32c=_fitting(_CRC32C, hashes.get("crc32c", "")),
        )

    @classmethod
    def noted(cls, note: Mapping[str, str]) -> "Remote":
        """Read what `as_note` wrote; what cannot be read is not known."""
        length = note.get("length", "")
        return cls(
            etag=note.get("etag", "")[:_MAX_ETAG],
            length=int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None,
            md5=_fitting(_MD5, note.get("md5", "")),
            crc32c=_fitting(_CRC32C, note.get("crc32c", "")),
        )

    def as_note(self) -> dict[str, str]:
        """What is known, as texts."""
        length = "" if self.length is None else str(self.length)
        found = {"etag": self.etag, "length": length, "md5": self.md5, "crc32c": self.crc32c}
        return {name: value for name, value in found.items() if value}

    @property
    def if_unchanged(self) -> dict[str, str]:
        """Header that asks for a range only of the same content; weak tags are not allowed in it (RFC 9110, 13.1.5)."""
        is_strong = self.etag.startswith('"') and self.etag.isascii() and self.etag.isprintable()
        return {"if-range": self.etag} if is_strong else {}

    @property
    def checksum(self) -> Checksum | None:
        """The best checksum that is known."""
        if self.md5:
            return "md5", self.md5
        return ("crc32c", self.crc32c) if self.crc32c else None

    def may_be(self, other: "Remote") -> bool:
        """Whether nothing that is known of both differs."""
        pairs = (
            (self.etag, other.etag),
            (self.length, other.length),
            (self.md5, other.md5),
            (self.crc32c, other.crc32c),
        )
        return all(not one or not another or one == another for one, another in pairs)

    def completed(self, other: "Remote") -> "Remote":
        """This one, with what only the other knows."""
        return replace(
            self,
            etag=self.etag or other.etag,
            length=other.length if self.length is None else self.length,
            md5=self.md5 or other.md5,
            crc32c=self.crc32c or other.crc32c,
        )


def _fitting(pattern: re.Pattern[str], value: str) -> str:
    return value if pattern.fullmatch(value) else ""
