"""Stored files compared with what was served: they differ by the record inside, and by nothing else."""

import hashlib
import struct
from pathlib import Path

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def sha256_as_made(path: Path | str) -> str:
    """Digest of a stored file without its record, which it must have."""
    data = Path(path).read_bytes()
    parts = (
        _chunks(data) if data.startswith(b"\x89PNG") else _segments(data) if data[:2] == b"\xff\xd8" else _boxes(data)
    )
    kept = [part for part in parts if not _is_record(part)]
    assert len(kept) == len(parts) - 1, f"{path} carries {len(parts) - len(kept)} records"
    return hashlib.sha256(b"".join(kept)).hexdigest()


def _is_record(part: bytes) -> bool:
    png, jpeg = part[4:25] == b"iTXtXML:com.adobe.xmp", part[4:32] == b"http://ns.adobe.com/xap/1.0/"
    return png or jpeg or part[4:24] == b"uuid" + XMP_UUID


def _chunks(data: bytes) -> list[bytes]:
    found, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + struct.unpack_from(">I", data, at)[0]
        found.append(data[at:end])
        at = end
    return found


def _segments(data: bytes) -> list[bytes]:
    found, at = [data[:2]], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        found.append(data[at:end])
        at = end
    return [*found, data[at:]]


def _boxes(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        end = at + struct.unpack_from(">I", data, at)[0]
        found.append(data[at:end])
        at = end
    return found
