import base64
import hashlib
import io
import os
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image

from mediagen.errors import InvalidRequestError, JobNotFoundError
from mediagen.media import inputs
from mediagen.media.inputs import InputLoader, InputMedia

DATA = Path(__file__).parents[1] / "data"
PNG = DATA / "chelsea.png"
posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX file kinds")


async def no_artifact(artifact_id: str) -> Path:
    raise JobNotFoundError(f"no artifact {artifact_id}")


def artifact_at(path: Path) -> Callable[[str], Awaitable[Path]]:
    async def resolve(artifact_id: str) -> Path:
        assert artifact_id == "art_1"
        return path

    return resolve


@pytest.fixture
def loader(tmp_path: Path) -> InputLoader:
    return InputLoader([tmp_path], no_artifact)


def as_bytes(format_name: str, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 1).save(out, format=format_name)
    return out.getvalue()


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).tobytes()


async def refusal(awaited: Awaitable[object], field: str = "image") -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        await awaited
    assert raised.value.field == field
    assert field in raised.value.message
    return raised.value


async def test_load_image_reads_a_real_picture(tmp_path: Path, loader: InputLoader) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG.read_bytes())
    media = await loader.load_image(str(path), "image")
    assert (media.field, media.source, media.mime_type) == ("image", str(path), "image/png")
    assert (media.width, media.height) == (451, 300)
    assert media.data is not None
    assert pixels(media.data) == pixels(PNG.read_bytes())
    assert (media.sha256, media.size_bytes) == (hashlib.sha256(media.data).hexdigest(), len(media.data))
    assert media.path == path.resolve()
    assert media.uri is None
    assert media.conversion == "metadata removed"
    assert path.read_bytes() == PNG.read_bytes()


async def test_load_image_sends_a_plain_picture_byte_for_byte(tmp_path: Path, loader: InputLoader) -> None:
    path = tmp_path / "plain.png"
    path.write_bytes(as_bytes("PNG"))
    media = await loader.load_image(str(path), "image")
    assert (media.data, media.conversion) == (path.read_bytes(), None)


@pytest.mark.parametrize("name", ["ลูกแมว 🐱 & co %41.png", " leading space.png", "data.png", "a:b.png", "#1?.png"])
async def test_load_image_takes_any_file_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: InputLoader, name: str
) -> None:
    (tmp_path / name).write_bytes(PNG.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (f"./{name}", str(tmp_path / name), (tmp_path / name).as_uri(), f"~/{name}"):
        assert (await loader.load_image(source, "image")).width == 451


async def test_load_image_believes_the_bytes_and_not_the_name(tmp_path: Path, loader: InputLoader) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes((DATA / "rocket.jpg").read_bytes())
    assert (await loader.load_image(str(path), "image")).mime_type == "image/jpeg"


@pytest.mark.parametrize(("format_name", "mode"), [("GIF", "P"), ("BMP", "RGB"), ("TIFF", "RGB"), ("TIFF", "CMYK")])
async def test_load_image_converts_to_png_and_says_so(
    tmp_path: Path, loader: InputLoader, format_name: str, mode: str
) -> None:
    path = tmp_path / "old.png"
    path.write_bytes(as_bytes(format_name, mode))
    media = await loader.load_image(str(path), "image")
    assert media.mime_type == "image/png"
    note = ", CMYK converted to RGB" if mode == "CMYK" else ""
    assert media.conversion == f"image/{format_name.lower()} converted to image/png{note}"
    assert media.data is not None
    assert media.sha256 == hashlib.sha256(media.data).hexdigest()
    assert Image.open(io.BytesIO(media.data)).size == (40, 30)


async def test_load_image_takes_the_first_frame_of_an_animation(tmp_path: Path, loader: InputLoader) -> None:
    path = tmp_path / "film.gif"
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue", "lime")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    media = await loader.load_image(str(path), "image")
    assert media.conversion == "image/gif converted to image/png, first frame only"
    assert Image.open(io.BytesIO(media.data or b"")).convert("RGB").getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\x0a jxl",
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><title>404</title>",
    ],
)
async def test_load_image_refuses_other_kinds_with_a_way_out(
    tmp_path: Path, loader: InputLoader, content: bytes
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    error = await refusal(loader.load_image(str(path), "image"))
    assert error.hint == "Convert it to PNG or JPEG."


@pytest.mark.parametrize("name", ["chelsea.png", "rocket.jpg"])
async def test_load_image_refuses_a_picture_that_is_cut_off(tmp_path: Path, loader: InputLoader, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((DATA / name).read_bytes()[:-5000])
    assert "damaged or cut off" in (await refusal(loader.load_image(str(path), "image"))).message


async def test_load_image_refuses_pixel_bombs(tmp_path: Path, loader: InputLoader) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + crc + b"\0\0\0\x08IDATx")
    assert (await refusal(loader.load_image(str(path), "image"))).code == "too_many_pixels"


async def test_load_image_scales_down_what_has_too_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG.read_bytes())
    small = InputLoader([tmp_path], no_artifact, max_bytes=10_000)
    inline = "data:image/png;base64," + base64.b64encode(PNG.read_bytes()).decode()
    for source in (str(path), inline):
        media = await small.load_image(source, "image")
        assert media.data is not None
        assert len(media.data) <= 10_000
        assert (media.conversion or "").startswith("image/png converted to image/jpeg, 451x300 scaled to ")


async def test_load_image_refuses_what_cannot_be_made_small_enough(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG.read_bytes())
    tiny = InputLoader([tmp_path], no_artifact, max_bytes=200)
    assert (await refusal(tiny.load_image(str(path), "image"))).code == "input_too_large"


async def test_load_image_refuses_too_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: InputLoader
) -> None:
    monkeypatch.setattr(inputs, "MAX_SOURCE_BYTES", 1024)
    path = tmp_path / "cat.png"
    path.write_bytes(PNG.read_bytes())
    assert (await refusal(loader.load_image(str(path), "image"))).code == "input_too_large"
    large = "data:image/png;base64," + base64.b64encode(PNG.read_bytes()).decode()
    assert (await refusal(loader.load_image(large, "image"))).code == "input_too_large"


async def test_load_image_refuses_a_sparse_giant_without_reading_it(tmp_path: Path, loader: InputLoader) -> None:
    path = tmp_path / "giant.png"
    with path.open("wb") as file:
        file.truncate(30 * 1024**3)
    error = await refusal(loader.load_image(str(path), "image"))
    assert "larger than 200 MB" in error.message


@pytest.mark.parametrize("source", ["", "  ", "gone.png", "a\0b.png", "x" * 5000, "ftp://host/a.png", "file://host/a"])
async def test_load_image_refuses_what_names_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: InputLoader, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    error = await refusal(loader.load_image(source, "image"))
    assert len(error.message) < 500


async def test_load_image_names_the_missing_path(tmp_path: Path, loader: InputLoader) -> None:
    error = await refusal(loader.load_image(str(tmp_path / "gone.png"), "input_images"), "input_images")
    assert str(tmp_path / "gone.png") in error.message
    assert error.code == "input_not_found"


@posix_only
async def test_load_image_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    loader = InputLoader(None, no_artifact)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        for name, why in [("pipe", "a pipe"), ("", "a folder"), ("empty.png", "is empty"), ("s", "a socket")]:
            assert why in (await refusal(loader.load_image(str(tmp_path / name), "image"))).message
    assert "a device" in (await refusal(loader.load_image("/dev/zero", "image"))).message


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
async def test_load_image_refuses_what_may_not_be_read(tmp_path: Path, loader: InputLoader) -> None:
    path = tmp_path / "private.png"
    path.write_bytes(PNG.read_bytes())
    path.chmod(0)
    assert "permission" in (await refusal(loader.load_image(str(path), "image"))).message


@posix_only
async def test_load_image_stays_within_the_roots(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "in-but-not"
    inside.mkdir()
    outside.mkdir()
    (outside / "cat.png").write_bytes(PNG.read_bytes())
    (inside / "link.png").symlink_to(outside / "cat.png")
    (inside / "folder").symlink_to(outside)
    loader = InputLoader([inside], no_artifact)
    for source in (
        outside / "cat.png",
        inside / "link.png",
        inside / "folder" / "cat.png",
        inside / ".." / "in-but-not" / "cat.png",
        Path("/etc/passwd"),
    ):
        error = await refusal(loader.load_image(str(source), "image"))
        assert str(inside) in error.message
        assert "MEDIAGEN_INPUT_ROOTS" in error.hint


async def test_load_image_tells_nothing_of_files_outside_of_the_roots(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "there.png").write_bytes(b"x")
    loader = InputLoader([tmp_path / "in"], no_artifact)
    there = await refusal(loader.load_image(str(tmp_path / "there.png"), "image"))
    gone = await refusal(loader.load_image(str(tmp_path / "gone.png"), "image"))
    assert there.message.replace("there", "gone") == gone.message


@posix_only
async def test_load_image_follows_links_within_the_roots(tmp_path: Path, loader: InputLoader) -> None:
    (tmp_path / "cat.png").write_bytes(PNG.read_bytes())
    (tmp_path / "link.png").symlink_to(tmp_path / "cat.png")
    media = await loader.load_image(str(tmp_path / "link.png"), "image")
    assert media.path == (tmp_path / "cat.png").resolve()


@posix_only
async def test_load_image_refuses_links_in_a_circle(tmp_path: Path, loader: InputLoader) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    await refusal(loader.load_image(str(tmp_path / "a.png"), "image"))


async def test_load_image_decodes_data_uris_and_shortens_them(loader: InputLoader) -> None:
    text = base64.b64encode(PNG.read_bytes()).decode()
    for source in (f"data:image/png;base64,{text}", f"DATA:;charset=x;base64,\n{text}".replace("+", "%2B")):
        media = await loader.load_image(source, "image")
        assert media.data is not None
        assert pixels(media.data) == pixels(PNG.read_bytes())
        assert media.source.endswith("…(240512 bytes)")
        assert len(media.source) < 60
        assert media.path is None


@pytest.mark.parametrize(
    "source",
    [
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,iVBORw0KGgo",
        "data:image/png;base64,ไทย",
        "data:image/png;base64," + base64.b64encode(b"only words").decode(),
    ],
)
async def test_load_image_refuses_damaged_data_uris(loader: InputLoader, source: str) -> None:
    await refusal(loader.load_image(source, "image"))


@pytest.mark.parametrize(
    ("source", "mime_type"),
    [
        ("https://example.com/a/cat.PNG?sig=secret", "image/png"),
        ("https://example.com/cat.jpeg", "image/jpeg"),
        ("gs://bucket/folder/cat.webp", "image/webp"),
    ],
)
async def test_load_image_hands_addresses_on_unfetched(loader: InputLoader, source: str, mime_type: str) -> None:
    media = await loader.load_image(source, "image")
    assert (media.uri, media.mime_type, media.data, media.sha256) == (source, mime_type, None, None)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("https://user:secret@example.com/cat?sig=secret", "POST /files"),
        ("https://example.com/clip.mp4?sig=secret", "POST /files"),
        ("gs://bucket/cat", "POST /files"),
        ("http://user:secret@example.com/cat.png?sig=secret", "https"),
        ("https:///cat.png", "https URL"),
        ("https://[bad/cat.png", ""),
        ("mediagen://jobs/1", "mediagen://artifacts/"),
        ("mediagen://artifacts/../../etc/passwd", "mediagen://artifacts/<id>"),
    ],
)
async def test_load_image_refuses_addresses_without_telling_secrets(
    loader: InputLoader, source: str, advice: str
) -> None:
    error = await refusal(loader.load_image(source, "image"))
    assert advice in error.hint
    assert "secret" not in str(error)


async def test_load_image_of_an_artifact_needs_no_root(tmp_path: Path) -> None:
    loader = InputLoader([tmp_path], artifact_at(PNG))
    media = await loader.load_image("mediagen://artifacts/art_1", "image")
    assert (media.source, media.path) == ("mediagen://artifacts/art_1", PNG.resolve())


async def test_load_image_of_an_artifact_that_is_gone_is_refused(tmp_path: Path) -> None:
    loader = InputLoader([tmp_path], artifact_at(tmp_path / "deleted.png"))
    assert "does not exist" in (await refusal(loader.load_image("mediagen://artifacts/art_1", "image"))).message


async def test_load_image_of_an_unknown_artifact_says_so(loader: InputLoader) -> None:
    with pytest.raises(JobNotFoundError, match="art_2"):
        await loader.load_image("mediagen://artifacts/art_2", "image")


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [("a.txt", "text/plain"), ("a.MD", "text/markdown"), ("a.csv", "text/csv"), ("a.json", "application/json")],
)
async def test_load_document_reads_text(tmp_path: Path, loader: InputLoader, name: str, mime_type: str) -> None:
    (tmp_path / name).write_bytes("\ufeffสวัสดี 🎬".encode())
    media = await loader.load_document(str(tmp_path / name), "documents")
    assert media.mime_type == mime_type
    assert media.data == "สวัสดี 🎬".encode()


@pytest.mark.parametrize(
    "content", [b"\xff\xfet\0e\0x\0t\0", b"caf\xe9", b"a\0b", b"%PDF-1.7 text", b"\xef\xbb\xbf", b" "]
)
async def test_load_document_refuses_what_is_no_text(tmp_path: Path, loader: InputLoader, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    await refusal(loader.load_document(str(tmp_path / "a.txt"), "documents"), "documents")


async def test_load_document_has_limits(tmp_path: Path, loader: InputLoader) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * (1024**2 + 1))
    error = await refusal(loader.load_document(str(tmp_path / "a.txt"), "documents"), "documents")
    assert "larger than 1 MB" in error.message
    await refusal(loader.load_document("https://example.com/a.txt", "documents"), "documents")


async def test_load_document_takes_a_data_uri(loader: InputLoader) -> None:
    media = await loader.load_document("data:text/markdown,%23%20Hello", "documents")
    assert (media.data, media.mime_type) == (b"# Hello", "text/markdown")


@pytest.mark.parametrize("later", [b"other", b"clip"])
async def test_video_that_changed_since_it_was_checked_is_not_sent(tmp_path: Path, later: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(later)
    checked = InputMedia(
        field="video",
        source="clip.mp4",
        mime_type="video/mp4",
        path=path,
        sha256=hashlib.sha256(b"clips").hexdigest(),
        size_bytes=5,
    )
    with pytest.raises(InvalidRequestError, match="changed while") as raised:
        await checked.read()
    assert (raised.value.field, raised.value.code) == ("video", "source_changed")
