"""Dummy C2PA manifests where Google's pictures and films carry real ones: right in their structure, signed by nobody.

The specification, https://spec.c2pa.org/, wants the box of a film before its media; here it comes last, so that no
address inside the film moves.
"""

import hashlib
import json
import struct
import zlib
from pathlib import Path

_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# what the kinds of JUMBF boxes have in common behind their four letters
_KIND = bytes.fromhex("00110010800000aa00389b71")
_REQUESTABLE_WITH_LABEL = b"\x03"
_PNG_HEADER_END = 33
_JPEG_HEADER_END = 2
_APP11 = 0xEB


def manifest(content_digest: bytes) -> bytes:
    """Build a manifest store with one manifest, whose claim names the emulator."""
    claim = {"claim_generator": "mediagen emulator", "digital_source_type": "trainedAlgorithmicMedia"}
    label = f"urn:c2pa:{content_digest.hex()[:32]}"
    content = _box(b"json", json.dumps(claim).encode())
    return _superbox(b"c2pa", "c2pa", _superbox(b"c2ma", label, _superbox(b"json", "c2pa.claim", content)))


def sign_picture(content: bytes) -> bytes:
    """Put a manifest into a PNG or JPEG picture."""
    store = manifest(hashlib.sha256(content).digest())
    if content.startswith(b"\x89PNG"):
        crc = zlib.crc32(b"caBX" + store)
        part, position = struct.pack(">I", len(store)) + b"caBX" + store + struct.pack(">I", crc), _PNG_HEADER_END
    else:
        packet = b"JP" + struct.pack(">HI", 1, 1) + store
        part, position = struct.pack(">BBH", 0xFF, _APP11, len(packet) + 2) + packet, _JPEG_HEADER_END
    return content[:position] + part + content[position:]


def sign_film(path: Path) -> None:
    """Put a manifest behind the boxes of an MP4 film, where it moves none of the others."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        # version and flags; what the box is for; where the tree of hashes begins, when there is one
        head = _C2PA_BOX + bytes(4) + b"manifest\0" + bytes(8)
        file.seek(0, 2)
        file.write(_box(b"uuid", head + manifest(digest)))


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", len(payload) + 8, kind) + payload


def _superbox(kind: bytes, label: str, content: bytes) -> bytes:
    description = kind + _KIND + _REQUESTABLE_WITH_LABEL + label.encode() + b"\0"
    return _box(b"jumb", _box(b"jumd", description) + content)
