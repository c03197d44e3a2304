"""What the product adds to one call."""

import base64
import http.client
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.measuring import Figure, interleaved, median, percentile
from benchmarks.starting import FLOOR, OURS, Stdio, environment, server
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.thread import running_emulator

ESTIMATES = 300
PICTURES = 150
WARM_UP = 10
PROMPT = "a red fox in the snow"
MODEL = "gemini-nano-banana-2.1"


def measure(estimates: int = ESTIMATES, pictures: int = PICTURES) -> list[Figure]:
    """Call each again and again, in turns with its floor."""
    with tempfile.TemporaryDirectory() as folder, running_emulator(EmulatorSettings()) as emulator:
        variables = {**environment(Path(folder)), "GOOGLE_GEMINI_BASE_URL": emulator.url}
        with server(OURS, variables) as ours, server(FLOOR, variables) as floor:
            ours.hello()
            floor.hello()
            return [*_estimates(ours, floor, estimates), *_pictures(ours, emulator.url, Path(folder), pictures)]


def _estimates(ours: Stdio, floor: Stdio, rounds: int) -> list[Figure]:
    asked = {"kind": "video", "duration_seconds": 8}
    mine, least = _compared(lambda: _call(ours, "estimate_cost", asked), lambda: _call(floor, "nothing", {}), rounds)
    return [
        Figure(
            name="estimate_cost over stdio, p50",
            unit="ms",
            value=1000 * median(mine),
            floor=1000 * median(least),
            bar=1.0,
            kind="difference",
            samples=rounds,
        )
    ]


def _pictures(ours: Stdio, url: str, folder: Path, rounds: int) -> list[Figure]:
    asked = {"prompt": PROMPT, "force_new": True, "preview": False}
    body = {
        "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"imageSize": "1K"}},
    }
    target = folder / "floor.jpg"
    mine, least = _compared(
        lambda: _call(ours, "generate_image", asked), lambda: _post_and_write(url, body, target), rounds
    )
    common: dict[str, Any] = {"unit": "ms", "kind": "difference", "samples": rounds}
    return [
        Figure(
            name="generate_image (1K), p50",
            value=1000 * median(mine),
            floor=1000 * median(least),
            bar=12.0,
            **common,
        ),
        Figure(
            name="generate_image (1K), p99",
            value=1000 * percentile(mine, 0.99),
            floor=1000 * percentile(least, 0.99),
            bar=40.0,
            **common,
        ),
    ]


def _compared(ours: Callable[[], float], floor: Callable[[], float], rounds: int) -> list[list[float]]:
    interleaved(ours, floor, rounds=WARM_UP)
    return interleaved(ours, floor, rounds=rounds)


def _call(client: Stdio, tool: str, arguments: dict[str, Any]) -> float:
    began = time.perf_counter()
    answer = client.ask("tools/call", {"name": tool, "arguments": arguments})
    seconds = time.perf_counter() - began
    assert not answer["result"].get("isError"), answer
    return seconds


def _post_and_write(url: str, body: dict[str, Any], target: Path) -> float:
    """The least that a picture takes: ask for it, and keep it so that it survives a power cut."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"content-type": "application/json", "x-goog-api-key": "floor"}
    connection.request("POST", f"/v1beta/models/{MODEL}:generateContent", json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == http.HTTPStatus.OK, content[:200]
    connection.close()
    parts = json.loads(content)["candidates"][0]["content"]["parts"]
    data = base64.b64decode(next(part["inlineData"]["data"] for part in parts if "inlineData" in part))
    with target.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began
