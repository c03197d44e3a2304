"""The emulator behind a wire of our own, which knows of every request who sent it, for which wish and how far it is."""

import itertools
import json
import random
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send
from tests.chaos.wishes import TAG

from mediagen.emulator import studio
from mediagen.emulator.answers import end_connection
from mediagen.emulator.app import create_app
from mediagen.emulator.films import FilmPlan, render
from mediagen.emulator.server import EmulatorServer, listen
from mediagen.emulator.settings import EmulatorSettings

Kind = Literal["paid", "poll", "download", "look"]
START_SECONDS = 60.0
CLIP_BYTES = 200_000
PIECE_BYTES = 16_384
PACE_SECONDS = 0.5
LARGE_BYTES = 64 * 1024
PAID = re.compile(r"(:generateContent|:predictLongRunning|/interactions)$")
POLL = re.compile(r":fetchPredictOperation$|/interactions/[^/]+$")
DOWNLOAD = re.compile(r"/files/(?P<file>[a-z0-9-]+):download$")
CLIP_FILE = re.compile(rb"/files/([a-z0-9-]+):download")
KEY = re.compile(r"(?:AIza-|ya29\.ready-)(?P<process>[a-z0-9.]+)$")


@dataclass(kw_only=True, slots=True)
class Exchange:
    """One request and how far it is.

    Attributes:
        process: Name of the process whose key signed it.
        is_answered: Whether all of the answer was handed to the system.
    """

    number: int
    process: str
    kind: Kind
    tag: str
    arrived_at: float
    is_answered: bool = False
    is_cut: bool = False
    sent_bytes: int = 0
    total_bytes: int = 0
    operation: str = ""
    ended_at: float = 0.0

    @property
    def share(self) -> float:
        """Share of the answer that was handed to the system."""
        return self.sent_bytes / self.total_bytes if self.total_bytes else 0.0


class Google:
    """What happened at the emulator, and what shall happen to its connections. Read from other threads.

    Attributes:
        paid: Every paid request that arrived.
        open: Requests on their way, by number.
        answered: The last paid requests whose answer was just sent.
        last_process: Who last asked for something of a wish.
        cuts: How many connections are to be cut: ``before`` and ``after`` a paid request is taken, in a ``download``,
            in a ``poll``.
    """

    def __init__(self, app: Starlette, *, seed: int) -> None:
        self.app = app
        self.state = app.state
        self.url = ""
        self.paid: list[Exchange] = []
        self.open: dict[int, Exchange] = {}
        self.answered: deque[Exchange] = deque(maxlen=20)
        self.last_process: dict[str, str] = {}
        self.cuts: Counter[str] = Counter()
        self.cut_tags: list[tuple[str, str]] = []
        self.errors: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._seed = seed
        self._tags: dict[str, str] = {}

    def bill(self) -> list[tuple[str, str]]:
        """Wish and operation of everything that was billed; no wish where none could be found."""
        tags = {exchange.operation: exchange.tag for exchange in self.paid if exchange.operation}
        return [(tags.get(item["operation"], ""), item["operation"]) for item in self._world.bill.as_json()["items"]]

    def served(self) -> dict[str, set[str]]:
        """Digests of the files that were made, by operation; those of pictures under the empty name."""
        found: dict[str, set[str]] = {"": {file["sha256"] for file in self._world.files.served()}}
        for name, operation in self._world.operations._operations.items():
            found[name] = {film.sha256 for film in operation.films}
        for name, interaction in self._world.interactions._interactions.items():
            found[name] = {interaction.film.sha256} if interaction.film else set()
        return found

    @property
    def _world(self) -> Any:
        return self.state.world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith("/emulator"):
            await self.app(scope, receive, send)
            return
        body = await _whole(receive)
        if body is None:
            # Whoever asks was killed in the middle of its question: nothing was asked.
            return
        exchange = self._note(scope, body)
        try:
            await self._pass(exchange, scope, _replaying(body, receive), send)
        finally:
            exchange.ended_at = time.monotonic()
            self.open.pop(exchange.number, None)

    def _note(self, scope: Scope, body: bytes) -> Exchange:
        method, path = scope["method"], scope["path"]
        text = body.decode("utf-8", "replace")
        exchange = Exchange(
            number=next(self._numbers),
            process=_process(scope),
            kind=_kind(method, path),
            tag=self._tag(path, text),
            arrived_at=time.monotonic(),
        )
        if exchange.kind == "paid":
            # The last one: an extension may name what it goes on from.
            exchange.tag = (TAG.findall(text) or [""])[-1]
            self.paid.append(exchange)
        if exchange.tag:
            self.last_process[exchange.tag] = exchange.process
        self.open[exchange.number] = exchange
        return exchange

    def _tag(self, path: str, text: str) -> str:
        if found := DOWNLOAD.search(path):
            return self._tags.get(found["file"], "")
        if path.endswith(":fetchPredictOperation"):
            return self._tags.get(str(json.loads(text).get("operationName")), "")
        return self._tags.get(path.rpartition("/")[2].removesuffix(":download"), "")

    async def _pass(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        if exchange.kind == "paid":
            await anyio.sleep(self._delay(exchange, 0.05, 0.4))
            if self._is_cut(exchange, "before"):
                await end_connection(scope, receive, at_once=True)
                return
        elif exchange.kind == "poll":
            await anyio.sleep(self._delay(exchange, 0.02, 0.1))
        answer = await _Answer.of(self.app, scope, receive)
        if exchange.kind == "paid":
            await self._take_down(exchange, answer)
            if self._is_cut(exchange, "after"):
                await end_connection(scope, receive, at_once=True)
                return
        elif exchange.kind == "poll" and exchange.tag:
            self._tags |= {file.decode(): exchange.tag for file in CLIP_FILE.findall(answer.body[-4000:])}
        if await self._send(exchange, answer, send):
            await end_connection(scope, receive, at_once=True)
            return
        exchange.is_answered = True
        if exchange.kind == "paid":
            self.answered.append(exchange)

    async def _take_down(self, exchange: Exchange, answer: "_Answer") -> None:
        """Remember what was billed, and let the sender wait for its answer."""
        if answer.status == 200:
            content = json.loads(answer.body)
            exchange.operation = str(content.get("name") or content.get("id") or content.get("responseId"))
            self._tags[exchange.operation] = exchange.tag
        else:
            self.errors[f"{answer.status} {answer.body[:200].decode('utf-8', 'replace')}"] += 1
        await anyio.sleep(self._delay(exchange, 0.05, 0.5))

    async def _send(self, exchange: Exchange, answer: "_Answer", send: Send) -> bool:
        """Hand the answer to the system, slowly where it is large; whether the connection is to be cut instead."""
        exchange.total_bytes = len(answer.body)
        is_large = exchange.total_bytes > LARGE_BYTES
        pieces = range(0, exchange.total_bytes, PIECE_BYTES if is_large else exchange.total_bytes)
        is_cut = bool(pieces) and exchange.kind in {"poll", "download"} and self._is_cut(exchange, exchange.kind)
        await send(answer.start)
        for start in pieces:
            piece = answer.body[start : start + PIECE_BYTES] if is_large else answer.body
            if is_cut and exchange.sent_bytes >= exchange.total_bytes // 2:
                return True
            exchange.sent_bytes += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if is_large:
                await anyio.sleep(PACE_SECONDS / len(pieces))
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return False

    def _is_cut(self, exchange: Exchange, where: str) -> bool:
        if not self.cuts[where]:
            return False
        self.cuts[where] -= 1
        exchange.is_cut = True
        self.cut_tags.append((where, exchange.tag))
        return True

    def _delay(self, exchange: Exchange, least: float, most: float) -> float:
        """Seeded by the wish, not by the order in which requests happen to arrive."""
        return random.Random(f"{self._seed} {exchange.tag} {exchange.kind} {most}").uniform(least, most)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """A whole answer of the emulator."""

    start: Message
    body: bytes

    @property
    def status(self) -> int:
        return int(self.start["status"])

    @classmethod
    async def of(cls, app: Starlette, scope: Scope, receive: Receive) -> "_Answer":
        start: list[Message] = []
        body = bytearray()

        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
            else:
                body.extend(message.get("body", b""))

        await app(scope, receive, take)
        return cls(start=start[0], body=bytes(body))


async def _whole(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _process(scope: Scope) -> str:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    found = KEY.search(headers.get("x-goog-api-key") or headers.get("authorization", ""))
    return found["process"] if found else ""


def _kind(method: str, path: str) -> Kind:
    if method == "POST" and PAID.search(path):
        return "paid"
    if DOWNLOAD.search(path):
        return "download"
    return "poll" if POLL.search(path) else "look"


class QuickFilms:
    """Renders one clip of each kind; every order gets a copy with bytes of its own, so that hundreds cost little."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._making = anyio.Lock()
        self._render = render

    async def render(self, plan: FilmPlan, executable: str, target: Path) -> None:
        """Make a clip."""
        if plan.task != "text_to_video":
            await self._render(plan, executable, target)
            return
        width, height = plan.size
        made = self._folder / f"clip-{width}x{height}-{plan.seconds:g}-{plan.has_audio}"
        async with self._making:
            if not made.exists():
                await self._render(plan, executable, made)
        clip = made.read_bytes()
        own = random.Random(plan.digest).randbytes(max(64, CLIP_BYTES - len(clip)))
        # A player skips a box of this kind.
        target.write_bytes(clip + (len(own) + 8).to_bytes(4, "big") + b"free" + own)


@contextmanager
def running_google(folder: Path, *, seed: int) -> Iterator[Google]:
    """Run the emulator behind the wire in a thread for as long as the context is open."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = EmulatorSettings(video_seconds=0.6, image_seconds=0.05, state_dir=folder)
    modules: Any = studio
    modules.render = QuickFilms(folder).render
    listener, url = listen(settings)
    started = threading.Event()
    with listener:
        google = Google(create_app(settings), seed=seed)
        google.url = url
        server = EmulatorServer(google, settings, started.set)  # type: ignore[arg-type]  # an application with a state
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), name="google", daemon=True)
        thread.start()
        try:
            if not started.wait(START_SECONDS):
                raise RuntimeError("the emulator did not start")
            yield google
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)
            modules.render = render
