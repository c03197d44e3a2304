"""Small real files of each format, and ways to put foreign parts into them."""

import io
import struct
import subprocess
import zlib
from pathlib import Path

from PIL import Image, ImageCms, PngImagePlugin

from mediagen.media.ffmpeg import find_ffmpeg

DATA = Path(__file__).parents[2] / "data"
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
JUMBF = (
    struct.pack(">I4s", 40, b"jumb")
    + struct.pack(">I4s", 32, b"jumd")
    + b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0\0\0"
)
FOREIGN_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Other">'
    '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:City="Zürich &gt; \'x\'"><!-- kept -->'
    "<photoshop:Credit>Ann</photoshop:Credit></r:Description></r:RDF></x:xmpmeta>" + " " * 50 + '<?xpacket end="w"?>'
).encode()
STILLS = ("png", "jpeg", "lossy.webp", "lossless.webp", "alpha.webp", "animated.webp")
FILMS = ("faststart.mp4", "mdat_first.mp4", "fragmented.mp4", "open.mp4")


def still(kind: str, **options: object) -> bytes:
    """A picture of 90 by 60 pixels, or three of them."""
    picture = Image.open(DATA / "chelsea.png").convert("RGB").resize((90, 60))
    file = io.BytesIO()
    match kind:
        case "png" | "jpeg":
            picture.save(file, kind, **options)
        case "lossy.webp":
            picture.save(file, "webp", quality=60, **options)
        case "lossless.webp":
            picture.save(file, "webp", lossless=True, **options)
        case "alpha.webp":
            picture.putalpha(picture.convert("L"))
            picture.save(file, "webp", lossless=True, exact=True, **options)
        case "animated.webp":
            more = [picture.rotate(90), picture.rotate(180)]
            picture.save(file, "webp", save_all=True, append_images=more, duration=100, **options)
    return file.getvalue()


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    return tags.tobytes()


def png_text(**texts: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    return info


def film(kind: str, path: Path) -> None:
    flags = {"faststart.mp4": "+faststart", "fragmented.mp4": "+frag_keyframe+empty_moov"}.get(kind)
    options = ["-movflags", flags] if flags else []
    source = ["-i", str(DATA / "bigbuckbunny.mp4"), "-t", "0.4", "-vf", "scale=64:36", "-c:a", "aac", "-ac", "2"]
    ffmpeg(*source, *options, "-y", str(path))
    if kind == "open.mp4":  # its last box goes on to the end of the file
        path.write_bytes(path.read_bytes() + struct.pack(">I4s", 0, b"mdat") + bytes(1000))


def ffmpeg(*arguments: str) -> bytes:
    command = [find_ffmpeg(None), "-nostdin", "-v", "error", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    return done.stdout


def frames(path: Path) -> bytes:
    """Digests of all decoded frames and their times."""
    return ffmpeg("-i", str(path), "-f", "framemd5", "-")


def packets(path: Path) -> bytes:
    """Digests of all frames as they are stored."""
    return ffmpeg("-i", str(path), "-c", "copy", "-f", "framemd5", "-")


def pixels(path: Path) -> list[bytes]:
    with Image.open(path) as picture:
        found = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            found.append(picture.convert("RGBA").tobytes())
        return found


def top_boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    at, found = 0, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + (length or len(data) - at)
        found.append((kind, at, end))
        at = end
    return found


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(payload)) + payload


def riff(kind: bytes, payload: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(payload)) + payload + bytes(len(payload) % 2)


def with_part(data: bytes, part: bytes) -> bytes:
    """A picture or film with a further part in a place where its format allows it."""
    if data[:4] == b"RIFF":
        return b"RIFF" + struct.pack("<I", len(data) - 8 + len(part)) + data[8:] + part
    at = {b"\x89P": 33, b"\xff\xd8": 2}.get(data[:2], len(data))
    return data[:at] + part + data[at:]


def signed(data: bytes) -> bytes:
    """With a C2PA manifest, as far as one can be seen without knowing keys."""
    match data[:2]:
        case b"\x89P":
            return with_part(data, chunk(b"caBX", JUMBF))
        case b"\xff\xd8":
            return with_part(data, segment(0xEB, b"JP" + struct.pack(">HI", 1, 1) + JUMBF))
        case b"RI":
            return with_part(data, riff(b"C2PA", JUMBF))
    return with_part(data, box(b"uuid", C2PA_UUID + bytes(4) + b"manifest\0" + bytes(8) + JUMBF))


def with_xmp(data: bytes, packet: bytes) -> bytes:
    match data[:2]:
        case b"\x89P":
            return with_part(data, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
        case b"\xff\xd8":
            return with_part(data, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))
        case b"RI":
            return with_part(data, riff(b"XMP ", packet))
    return with_part(data, box(b"uuid", XMP_UUID + packet))
