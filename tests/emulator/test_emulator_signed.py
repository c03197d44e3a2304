"""Pictures and films that carry a C2PA manifest, as Google's do."""

import base64
import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from mediagen.emulator.ffmpeg import Probe
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import EmulatorHandle, running_emulator
from mediagen.media.metadata import embed_record, has_c2pa

PROJECT = "/v1beta1/projects/p/locations/us-central1"
BEARER = {"authorization": "Bearer ya29.ready"}
KEY = {"x-goog-api-key": "AQ.x"}
OMNI_BODY: dict[str, Any] = {
    "model": "gemini-omni-1.2-flash",
    "input": "a cat",
    "response_format": {"type": "video", "resolution": "360p", "duration": "3s"},
}


@pytest.fixture(scope="module")
def signing() -> Iterator[EmulatorHandle]:
    with running_emulator(EmulatorSettings(video_seconds=0, signed=True)) as handle:
        yield handle


def picture(handle: EmulatorHandle, mime_type: str) -> bytes:
    options = {"imageSize": "1K", "imageOutputOptions": {"mimeType": mime_type}}
    body = {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"imageConfig": options},
    }
    url = f"{handle.url}{PROJECT}/publishers/google/models/gemini-nano-banana-2.1:generateContent"
    answer = httpx.post(url, json=body, headers=BEARER, timeout=30).json()
    return base64.b64decode(answer["candidates"][0]["content"]["parts"][-1]["inlineData"]["data"])


def film(handle: EmulatorHandle, **extra: Any) -> bytes:
    shown = httpx.post(f"{handle.url}/v1/interactions", json=OMNI_BODY | extra, headers=KEY, timeout=30).json()
    assert shown["status"] == "completed", shown
    return base64.b64decode(shown["steps"][-1]["content"][0]["data"])


@pytest.mark.parametrize("mime_type", ["image/png", "image/jpeg"])
def test_picture_carries_a_manifest_and_stays_a_picture(
    signing: EmulatorHandle, tmp_path: Path, mime_type: str
) -> None:
    content = picture(signing, mime_type)
    path = tmp_path / "picture"
    path.write_bytes(content)
    assert has_c2pa(path)
    assert embed_record(path, {"prompt": "a cat"}) is False
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        assert opened.size == (1024, 1024)
    assert picture(signing, mime_type) == content


def test_film_carries_a_manifest_and_plays_on(
    signing: EmulatorHandle, tmp_path: Path, probe_bytes: Callable[[bytes], Probe]
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(signing))
    assert has_c2pa(path)
    assert probe_bytes(path.read_bytes()).duration_seconds == 3.0
    assert [kind for kind, _ in boxes(path.read_bytes())][-1] == b"uuid"
    assert film(signing) == path.read_bytes()


def test_signed_film_is_extended_and_the_result_is_signed(
    signing: EmulatorHandle, tmp_path: Path, b64: Callable[[bytes], str]
) -> None:
    video = {"type": "video", "mime_type": "video/mp4", "data": b64(film(signing))}
    task = {"video_config": {"task": "extend"}}
    wanted = {"type": "video", "duration": "3s"}
    path = tmp_path / "longer.mp4"
    path.write_bytes(film(signing, input=[video], generation_config=task, response_format=wanted))
    assert has_c2pa(path)
    assert path.read_bytes().count(b"mediagen emulator") == 1


def test_veo_writes_signed_films_into_the_bucket(signing: EmulatorHandle, tmp_path: Path) -> None:
    signing.make_bucket("out")
    url = f"{signing.url}{PROJECT}/publishers/google/models/veo-3.1-lite-generate-001"
    parameters = {"durationSeconds": 4, "storageUri": "gs://out"}
    body = {"instances": [{"prompt": "a cat"}], "parameters": parameters}
    name = httpx.post(f"{url}:predictLongRunning", json=body, headers=BEARER, timeout=30).json()["name"]
    for _ in range(1500):
        shown = httpx.post(f"{url}:fetchPredictOperation", json={"operationName": name}, headers=BEARER).json()
        if shown.get("done"):
            break
    (entry,) = signing.objects("out")
    path = tmp_path / "film.mp4"
    path.write_bytes(signing.object_bytes("out", entry["name"]))
    assert has_c2pa(path)


def test_nothing_is_signed_unless_it_is_asked_for(emulator: EmulatorHandle, tmp_path: Path) -> None:
    for index, content in enumerate((film(emulator), picture(emulator, "image/png"), picture(emulator, "image/jpeg"))):
        path = tmp_path / str(index)
        path.write_bytes(content)
        assert not has_c2pa(path)


def test_manifest_is_a_tree_of_boxes_that_fill_one_another(signing: EmulatorHandle) -> None:
    store = dict(boxes(film(signing)))[b"uuid"][16 + 4 + 9 + 8 :]
    ((kind, outer),) = boxes(store)
    (description, manifest) = boxes(outer)
    assert (kind, description[0], manifest[0]) == (b"jumb", b"jumd", b"jumb")
    assert description[1].startswith(b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0")
    assert boxes(manifest[1])[0][1].startswith(b"c2ma\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03urn:c2pa:")


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= length <= len(data) - at
        found.append((kind, data[at + 8 : at + length]))
        at += length
    return found
