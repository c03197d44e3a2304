import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from mediagen.errors import MediaError
from mediagen.media import private_data
from mediagen.media.pictures import PreparedPicture, prepare_picture
from mediagen.media.private_data import read_exif, remove_private_data

DATA = Path(__file__).parents[1] / "data"
ROCKET = DATA / "rocket.jpg"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta><rdf:Description exif:GPSLatitude="13,45.2N" dc:creator="Somchai"/></x:xmpmeta>'
SECRETS = (b"Exif", b"GPS", b"xmpmeta", b"Somchai", b"SecretCam", b"jumb", b"Photoshop", b"ftyp", b"zzzz")


def exif(*, gps: bool = True, orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x0110] = "SecretCam 3000"
    tags[0x0112] = orientation
    if gps:
        tags.get_ifd(0x8825).update({1: "N", 2: (13.0, 45.0, 12.0), 3: "E", 4: (100.0, 30.0, 1.0)})
    return tags.tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def photo() -> Image.Image:
    with Image.open(ROCKET) as image:
        small = image.convert("RGB").resize((160, 107))
    small.info = {}  # Pillow would write its comment again
    return small


def prepared(data: bytes, kind: str, max_bytes: int = 20 * 1024**2) -> PreparedPicture:
    return prepare_picture(data, f"image/{kind}", "photo", max_bytes=max_bytes)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def assert_private(data: bytes) -> None:
    assert [secret for secret in SECRETS if secret in data] == []
    image = opened(data)
    assert dict(image.getexif()) == {}
    assert not {"exif", "xmp", "XML:com.adobe.xmp", "photoshop", "comment"} & set(image.info)


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_loses_every_trace_but_no_pixel(progressive: bool) -> None:
    plain = saved(photo(), "JPEG", quality=80, icc_profile=SRGB, progressive=progressive, comment="by Somchai")
    extra = b"".join(
        [
            segment(0xE1, b"Exif\0\0" + exif().removeprefix(b"Exif\0\0")),
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
            segment(0xE2, b"MPF\0" + b"zzzz"),
            segment(0xED, b"Photoshop 3.0\x008BIM"),
            segment(0xEB, b"JP\0\0jumb c2pa"),
        ]
    )
    full = plain[:20] + extra + plain[20:] + b"\0\0\0\x18ftypmp42" + saved(photo(), "JPEG", exif=exif())
    result = prepared(full, "jpeg")
    assert_private(result.data)
    assert opened(result.data).tobytes() == opened(plain).tobytes()
    assert opened(result.data).info["icc_profile"] == SRGB
    assert result.conversion == "location data removed"
    assert (result.width, result.height) == (160, 107)


def test_jpeg_scans_are_kept_byte_for_byte() -> None:
    data = ROCKET.read_bytes()
    result = prepared(data, "jpeg")
    start = data.index(b"\xff\xdb")
    assert result.data.endswith(data[start:])
    assert result.conversion == "metadata removed"


def test_jpeg_thumbnail_in_its_header_is_removed() -> None:
    plain = saved(photo(), "JPEG")
    thumbnail = segment(0xE0, plain[6:18] + b"\x02\x02" + b"zzzz" * 3)
    result = prepared(plain[:2] + thumbnail + plain[20:], "jpeg")
    assert result.data == plain
    assert result.conversion == "metadata removed"


def test_jpeg_with_a_broken_profile_is_sent_without_it() -> None:
    result = prepared(saved(photo(), "JPEG", icc_profile=b"no profile" * 40), "jpeg")
    assert "icc_profile" not in opened(result.data).info
    assert result.conversion == "metadata removed"


def test_jpeg_with_a_profile_in_many_pieces_keeps_it() -> None:
    profile = SRGB + bytes(150_000)
    data = saved(photo(), "JPEG", icc_profile=profile)
    assert prepared(data, "jpeg").data == data


def test_jpeg_with_rubbish_between_its_segments_is_encoded_again_without_metadata() -> None:
    plain = saved(photo(), "JPEG", exif=exif())
    at = plain.index(b"\xff\xdb")
    broken = plain[:at] + b"\0\0\0" + plain[at:]
    result = prepared(broken, "jpeg")
    assert_private(result.data)
    assert result.conversion == "location data removed"


@pytest.mark.parametrize(
    "kind_of_text",
    ["eXIf", "tEXt", "zTXt", "iTXt", "compressed iTXt", "Raw profile type exif", "behind the end"],
)
def test_png_loses_every_trace_but_no_pixel(kind_of_text: str) -> None:
    plain = saved(photo(), "PNG", icc_profile=SRGB)
    hexadecimal = exif().hex().encode()
    xmp_head = b"XML:com.adobe.xmp\0"
    raw = zlib.compress(b"\nexif\n%8d\n" % (len(hexadecimal) // 2) + hexadecimal + b"\n")
    part = {
        "eXIf": chunk(b"eXIf", exif().removeprefix(b"Exif\0\0")),
        "tEXt": chunk(b"tEXt", xmp_head + XMP),
        "zTXt": chunk(b"zTXt", xmp_head + b"\0" + zlib.compress(XMP)),
        "iTXt": chunk(b"iTXt", xmp_head + b"\0\0\0\0" + XMP),
        "compressed iTXt": chunk(b"iTXt", xmp_head + b"\1\0x-th\0\0" + zlib.compress(XMP)),
        "Raw profile type exif": chunk(b"zTXt", b"Raw profile type exif\0\0" + raw),
        "behind the end": b"",
    }[kind_of_text]
    at = plain.index(b"IDAT") - 4
    full = plain[:at] + part + chunk(b"caBX", b"jumb") + chunk(b"tIME", b"zzzzzzz") + plain[at:]
    full += XMP if kind_of_text == "behind the end" else b""
    result = prepared(full, "png")
    assert result.data == plain
    assert_private(result.data)
    assert result.conversion == "location data removed"


def test_png_text_bomb_is_dropped_unread() -> None:
    plain = saved(photo(), "PNG")
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 * 1024**2), 9))
    at = plain.index(b"IDAT") - 4
    result = prepared(plain[:at] + bomb + plain[at:], "png")
    assert (result.data, result.conversion) == (plain, "metadata removed")


@pytest.mark.parametrize("profile", [b"name\0\0rubbish", b"name", b"name\0\0" + zlib.compress(b"short")])
def test_png_with_a_broken_profile_is_sent_without_it(profile: bytes) -> None:
    plain = saved(photo(), "PNG")
    at = plain.index(b"IDAT") - 4
    assert prepared(plain[:at] + chunk(b"iCCP", profile) + plain[at:], "png").data == plain


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_loses_every_trace_but_no_pixel(lossless: bool, mode: str) -> None:
    image = photo().convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    full = saved(image, "WEBP", lossless=lossless, exif=exif(), xmp=XMP, icc_profile=SRGB)
    result = prepared(full + b"zzzz", "webp")
    assert_private(result.data)
    assert opened(result.data).tobytes() == opened(full).tobytes()
    assert opened(result.data).info["icc_profile"] == SRGB
    assert int.from_bytes(result.data[4:8], "little") == len(result.data) - 8
    assert result.data[20] & 0x0C == 0
    assert result.conversion == "location data removed"


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_metadata_without_a_place_is_removed_and_called_metadata(kind: str) -> None:
    tags = exif(gps=False)
    assert prepared(saved(photo(), kind, exif=tags), kind).conversion == "metadata removed"
    receiver = Image.Exif()
    receiver.get_ifd(0x8825).update({0: b"\2\3\0\0", 29: "2026:11:21"})
    assert prepared(saved(photo(), kind, exif=receiver.tobytes()), kind).conversion == "metadata removed"


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_picture_without_metadata_is_not_even_copied(kind: str) -> None:
    data = saved(photo(), kind)
    result = prepared(data, kind)
    assert result.data is data
    assert result.conversion is None


def test_big_endian_exif_is_read() -> None:
    tags = Image.Exif()
    tags.endian = ">"
    tags[0x0112] = 6
    tags.get_ifd(0x8825)[2] = (13.0, 45.0, 12.0)
    assert read_exif(tags.tobytes().removeprefix(b"Exif\0\0")) == (6, True)


def test_damaged_exif_tells_nothing() -> None:
    whole = exif(orientation=6).removeprefix(b"Exif\0\0")
    for length in range(len(whole)):
        orientation, _ = read_exif(whole[:length])
        assert orientation in {1, 6}
    assert read_exif(b"II*\0" + b"\xff" * 200) == (1, False)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_files_cut_anywhere_are_cleaned_or_refused_but_never_leak(kind: str) -> None:
    whole = saved(photo().resize((24, 16)), kind, exif=exif(), icc_profile=SRGB)
    for length in range(12, len(whole), 7):
        assert remove_private_data(whole[:length], f"image/{kind}") is None
        try:
            sent = prepared(whole[:length], kind).data
        except MediaError:
            continue
        assert_private(sent)


def test_file_of_countless_empty_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_data, "MAX_PARTS", 1000)
    plain = saved(photo(), "PNG")
    at = plain.index(b"IDAT") - 4
    with pytest.raises(MediaError) as raised:
        prepared(plain[:at] + chunk(b"zzzz", b"") * 1001 + plain[at:], "png")
    assert raised.value.code == "unreadable_media"
