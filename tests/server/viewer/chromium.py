"""A real Chromium without a window, spoken to through its own pipes in the DevTools protocol."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--mute-audio",
    "--remote-debugging-pipe", "--window-size=900,1000", "about:blank",
)  # fmt: skip
# It reads commands from file 3 and writes to file 4.
MOVE_PIPES: Final = (
    "import os,sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
SECONDS: Final = 60.0


def find_chromium() -> str | None:
    """Path of a Chromium on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _above_the_standard_files(descriptor: int) -> int:
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


class GoneError(Exception):
    """The page that was spoken to is not there any more."""


class Chromium:
    """One browser with one page, and all that happened in it.

    Attributes:
        requested: Addresses that were asked for by anything but the browser itself.
        troubles: Errors in the console, exceptions of scripts, and breaches of a content policy.
    """

    def __init__(self, program: str, profile: Path) -> None:
        self.requested: list[str] = []
        self.troubles: list[str] = []
        self._contexts: dict[tuple[str, int], dict[str, Any]] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._started: set[asyncio.Task[None]] = set()
        self._last = 0
        self._rest = b""
        self._page = ""
        commands, self._to = (_above_the_standard_files(end) for end in os.pipe())
        self._from, events = (_above_the_standard_files(end) for end in os.pipe())
        os.set_blocking(self._from, False)
        arguments = [program, *FLAGS[:-1], f"--user-data-dir={profile}", FLAGS[-1]]
        self._process = subprocess.Popen(
            [sys.executable, "-c", MOVE_PIPES, str(commands), str(events), *arguments],
            pass_fds=(commands, events),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": str(profile.parent)},
        )
        os.close(commands)
        os.close(events)
        asyncio.get_running_loop().add_reader(self._from, self._read)

    async def open(self, address: str) -> None:
        """Show a page; what its frames do is watched from the start."""
        target = await self.send("Target.createTarget", {"url": "about:blank"})
        attached = await self.send("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        self._page = attached["sessionId"]
        await self._watch(self._page)
        await self.send("Page.enable", {}, self._page)
        await self.send("Page.navigate", {"url": address}, self._page)

    async def evaluate(self, expression: str, *, in_frame: bool = True) -> Any:
        """Value of an expression in the frame, or in the page itself."""
        how = {"expression": expression, "returnByValue": True, "awaitPromise": True, "userGesture": True}
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            context = self._context(in_frame=in_frame)
            if context is None:
                await asyncio.sleep(0.02)
                continue
            session, number = context
            try:
                answer = await self.send("Runtime.evaluate", {**how, "contextId": number}, session)
            except GoneError:
                # A frame begins with an empty page, which gives way to the real one.
                self._contexts.pop(context, None)
                continue
            assert "exceptionDetails" not in answer, answer["exceptionDetails"]
            return answer["result"].get("value")
        raise AssertionError(f"no such frame; {self.troubles}")

    async def until(self, expression: str, *, in_frame: bool = True) -> Any:
        """Wait until an expression is true; its value."""
        deadline = time.monotonic() + SECONDS
        # Of a page that is still being read there is less than the expression asks for.
        tried = f"(() => {{ try {{ return ({expression}) }} catch (error) {{ return null }} }})()"
        while not (value := await self.evaluate(tried, in_frame=in_frame)):
            if time.monotonic() > deadline:
                shown = await self.evaluate("document.body.innerText", in_frame=in_frame)
                raise AssertionError(f"never true: {expression}\n{shown}\n{self.troubles}")
            await asyncio.sleep(0.03)
        return value

    async def press(self, key: str) -> None:
        """Press a key, as a person does."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        await self.send("Input.dispatchKeyEvent", {"type": "keyDown", **event, **text}, self._page)
        await self.send("Input.dispatchKeyEvent", {"type": "keyUp", **event}, self._page)

    async def send(self, method: str, params: dict[str, Any], session: str | None = None) -> Any:
        """Send a command; its result."""
        self._last += 1
        answer = self._answers[self._last] = asyncio.get_running_loop().create_future()
        message = {"id": self._last, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return await asyncio.wait_for(answer, SECONDS)

    async def close(self) -> None:
        """End the browser and all its processes."""
        asyncio.get_running_loop().remove_reader(self._from)
        for task in self._started:
            task.cancel()
        os.close(self._to)
        try:
            await asyncio.to_thread(self._process.wait, 5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            await asyncio.to_thread(self._process.wait, 20)
        os.close(self._from)

    def _context(self, *, in_frame: bool) -> tuple[str, int] | None:
        found = [
            key
            for key, context in self._contexts.items()
            if context["auxData"]["isDefault"] and (context["origin"] in {"://", "null", ""}) == in_frame
        ]
        return found[-1] if found else None

    async def _watch(self, session: str) -> None:
        for domain in ("Network", "Log", "Runtime"):
            await self.send(f"{domain}.enable", {}, session)
        frames = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        await self.send("Target.setAutoAttach", frames, session)
        await self.send("Runtime.runIfWaitingForDebugger", {}, session)

    def _read(self) -> None:
        try:
            received = os.read(self._from, 1 << 20)
        except BlockingIOError:
            return
        if not received:
            asyncio.get_running_loop().remove_reader(self._from)
        *messages, self._rest = (self._rest + received).split(b"\0")
        for message in messages:
            self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            answer = self._answers.pop(message["id"])
            if answer.done():
                return
            if "error" in message:
                gone = "context" in message["error"]["message"]
                answer.set_exception((GoneError if gone else AssertionError)(message["error"]["message"]))
            else:
                answer.set_result(message["result"])
            return
        self._notice(message["method"], message["params"], message.get("sessionId", ""))

    def _notice(self, method: str, params: dict[str, Any], session: str) -> None:
        match method:
            case "Target.attachedToTarget":
                task = asyncio.get_running_loop().create_task(self._watch(params["sessionId"]))
                self._started.add(task)
            case "Runtime.executionContextCreated":
                self._contexts[session, params["context"]["id"]] = params["context"]
            case "Runtime.executionContextDestroyed":
                self._contexts.pop((session, params["executionContextId"]), None)
            case "Runtime.executionContextsCleared":
                for key in [key for key in self._contexts if key[0] == session]:
                    del self._contexts[key]
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.troubles.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.troubles.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.troubles.append(params["entry"]["text"])


@asynccontextmanager
async def running_chromium(program: str, folder: Path) -> AsyncIterator[Chromium]:
    """A browser with a profile of its own in a folder."""
    browser = Chromium(program, folder / "profile")
    try:
        yield browser
    finally:
        await browser.close()
