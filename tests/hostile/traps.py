"""Files that nobody should be able to have read, sent or decoded, laid out in a folder."""

import gzip
import os
import socket
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

SECRET = "root:x:0:0:the-secret-of-another-folder"
HUGE = 10 * 1024**4


@dataclass(frozen=True, kw_only=True)
class Traps:
    """What was laid out.

    Attributes:
        inside: The folder from which files may be read.
        outside: A folder beside it, with files that are fine but for their place.
    """

    inside: Path
    outside: Path


def lay(inside: Path, outside: Path) -> Traps:
    """Put every trap in its place."""
    outside.mkdir()
    picture = _picture()
    for name, data in (("cat.png", picture), ("secret.txt", SECRET.encode()), ("clip.mp4", b"\0\0\0\x18ftypisom")):
        (outside / name).write_bytes(data)
        (inside / f"link-{name}").symlink_to(outside / name)
    (inside / "folder-link").symlink_to(outside)
    (inside / "circle").symlink_to(inside / "circle")
    (inside / "environ").symlink_to("/proc/self/environ")
    (inside / "nothing-there").symlink_to(outside / "not-yet.png")
    os.mkfifo(inside / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(inside)  # the name of a socket is short
        listener.bind("socket.png")
        os.chdir(here)
    with (inside / "sparse.png").open("wb") as file:
        file.truncate(HUGE)
    (inside / "empty.png").touch()
    (inside / "folder.png").mkdir()
    for name, data in (*pictures().items(), *films().items(), *texts().items()):
        (inside / name).write_bytes(data)
    return Traps(inside=inside, outside=outside)


def _picture(kind: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, "red").save(out, kind)
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, pixels: bytes = b"") -> bytes:
    """A PNG of any size, whatever its pixels are."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = _chunk(b"IDAT", pixels or zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + b"".join(chunks) + body + _chunk(b"IEND", b"")


@cache
def pictures() -> dict[str, bytes]:
    """Pictures that cost more than they show, are none, or are something else besides."""
    bomb = zlib.compress(b"\0" * 80_000_000, 9)
    whole = _picture()
    gif = bytearray(_picture("GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    tiff = b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 256, 4, 1, 90_000) + struct.pack("<HHII", 257, 4, 1, 90_000)
    bmp = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 90_000, 90_000, 1, 24, *[0] * 6)
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff"
    avif = b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"\0\0\0\x08free"
    return {
        "bomb.png": png(50_000, 50_000),
        "wide.png": png(2**31 - 1, 1),
        "nowhere.png": png(0, 0),
        "ztxt.png": png(64, 48, _chunk(b"zTXt", b"Comment\0\0" + bomb), pixels=b"x"),
        "iccp.png": png(64, 48, _chunk(b"iCCP", b"sRGB\0\0" + bomb), pixels=b"x"),
        "itxt.png": png(64, 48, _chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb), pixels=b"x"),
        "cut.png": whole[: len(whole) // 2],
        "head.png": whole[:20],
        "cut.jpg": _picture("JPEG")[:200],
        "bomb.gif": bytes(gif),
        "bomb.tif": tiff + b"\0\0\0\0",
        "circle.tif": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "bomb.bmp": bmp,
        "bomb.webp": webp,
        "bomb.avif": avif,
        "bomb.heic": avif.replace(b"avif", b"heic"),
        "vector.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "script.png": b"<html><script>alert(1)</script></html>",
        "entities.svg": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "paper.png": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n",
        "archive.png": b"PK\x03\x04" + b"\0" * 60,
        "packed.png": gzip.compress(whole),
        "magick.png": b"push graphic-context\nviewbox 0 0 9 9\nfill 'url(https://127.0.0.1/)'\npop graphic-context",
    }


@cache
def films() -> dict[str, bytes]:
    """Films that are lists of other files, or lie about their size."""
    ftyp = b"\0\0\0\x18ftypisom\0\0\x02\0isommp41"
    deep = b""
    for _ in range(2000):
        deep = struct.pack(">I", len(deep) + 8) + b"moov" + deep
    return {
        "playlist.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "concat.mp4": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "dash.mp4": b'<?xml version="1.0"?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>',
        "subtitles.mp4": b"1\n00:00:00,000 --> 00:00:01,000\n{\\fnfile:///etc/passwd}\n",
        "session.mp4": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "script.avi": b"import os\nclip = DirectShowSource('/etc/passwd')\n",
        "endless.mp4": ftyp + b"\0\0\0\x01moov" + struct.pack(">Q", 2**63),
        "largest.mp4": ftyp + b"\0\0\0\x01mdat" + struct.pack(">Q", 2**64 - 1),
        "smallest.mp4": ftyp + b"\0\0\0\x01moov" + struct.pack(">Q", 3),
        "deep.mp4": ftyp + deep,
        "samples.mp4": ftyp + _film_of_samples(2**32 - 1),
        "cut.mp4": ftyp + b"\0\0\x10\0moov\0\0\0\x6cmvhd",
        "headless.mp4": ftyp,
        "reference.mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt  \0\0\0\x30moov\0\0\0\x28rmra\0\0\0\x20rmda\0\0\0\x18rdrf"
        b"\0\0\0\0url \0\0\0\x08file:///",
        "void.webm": b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xffwebm",
        "cut.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0",
        "noise.wav": b"RIFF\xff\xff\xff\xffWAVEfmt ",
        "archive.mp4": b"PK\x03\x04" + b"\0" * 60,
    }


def _film_of_samples(number: int) -> bytes:
    data = b"stsz" + struct.pack(">III", 0, 0, number)
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        data = kind + struct.pack(">I", len(data) + 4) + data
    return struct.pack(">I", len(data) + 4) + data


def texts() -> dict[str, bytes]:
    """Documents that are none."""
    return {
        "paper.txt": b"%PDF-1.7\n",
        "binary.txt": b"a\0b",
        "half.txt": b"\xff\xfe",
        "blank.txt": b" \n\t",
        "long.txt": b"a" * (1024**2 + 1),
    }
