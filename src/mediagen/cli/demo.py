"""`mediagen demo`: the whole job, through the real server over stdio and the official MCP client, on the emulator."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mediagen.settings import GEMINI_KEY_VARIABLES, read_settings

PROMPT = "This cat as an astronaut, portrait in a sunlit space station, film still"
CLIP_PROMPT = "The cat turns its head and looks out at the Earth; soft hum of the station"
MORE_PROMPT = "The camera drifts through the window into open space"
CLIP_SECONDS = 8
READY_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One file of the closing table."""

    what: str
    path: str
    size: str
    length: str
    cost: str


def run_demo(*, output_dir: str, live: bool) -> int:
    """Run the demo; returns the exit code."""
    folder = Path(output_dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    if live:
        return anyio.run(_live, console, folder)
    with TemporaryDirectory(prefix="mediagen-demo-") as state, _emulator() as url:
        console.print(f"[bold]mediagen demo[/bold]: emulator at {url}; nothing is spent\n")
        environment = {
            "MEDIAGEN_BACKEND": "emulator",
            "GOOGLE_GEMINI_BASE_URL": url,
            "MEDIAGEN_STATE_DIR": state,
            "MEDIAGEN_OUTPUT_DIR": str(folder),
            "MEDIAGEN_POLL_SECONDS": "1",
            "MEDIAGEN_WAIT_SECONDS": "50",
        }
        return anyio.run(_demo, console, folder, environment)


@contextmanager
def _emulator() -> Iterator[str]:
    command = [sys.executable, "-m", "mediagen.emulator", "--port", "0", "--video-seconds", "4", "--idle-exit", "300"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)  # noqa: S603 - our own module
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit('The emulator did not start. Install its parts: pip install "mediagen-mcp[emulator]"')
        yield url
    finally:
        process.terminate()
        process.wait(timeout=READY_SECONDS)


def _server(environment: dict[str, str], folder: Path) -> StdioServerParameters:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "MEDIAGEN_FFMPEG") if name in os.environ}
    return StdioServerParameters(
        command=sys.executable,
        args=["-c", "from mediagen.server import main; main()"],
        env={**kept, **environment},
        cwd=folder,
    )


async def _demo(console: Console, folder: Path, environment: dict[str, str]) -> int:
    with resources.as_file(resources.files("mediagen.cli") / "demo_input.png") as shipped:
        picture = folder / "input.png"
        picture.write_bytes(shipped.read_bytes())
    rows: list[Row] = []
    async with Client(_server(environment, folder)) as client:
        console.print(f"Connected over stdio, protocol {client.protocol_version}\n")
        await _call(client, console, "check_api", {})
        arguments = {"kind": "video", "duration_seconds": CLIP_SECONDS, "resolution": "720p"}
        await _call(client, console, "estimate_cost", arguments)
        image = await _call(
            client,
            console,
            "generate_image",
            {"prompt": PROMPT, "input_images": [str(picture)], "aspect_ratio": "16:9"},
        )
        rows += _rows("picture", image)
        clip = await _call(
            client,
            console,
            "generate_video",
            {
                "prompt": CLIP_PROMPT,
                "image": image["artifacts"][0]["uri"],
                "duration_seconds": CLIP_SECONDS,
                "resolution": "720p",
            },
        )
        rows += _rows("clip", clip)
        longer = await _call(client, console, "extend_video", {"source": clip["job_id"], "prompt": MORE_PROMPT})
        rows += _rows("longer clip", longer)
    _print_table(console, rows)
    return 0


async def _call(client: Client, console: Console, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call one tool with a live progress bar and print what it says."""
    console.print(f"[bold cyan]{tool}[/bold cyan] {_shown(arguments)}")
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("calling", total=1.0)

        async def show(progress: float, total: float | None, message: str | None) -> None:
            bar.update(task, completed=progress, total=total or 1.0, description=message or "")

        result = await client.call_tool(tool, arguments, progress_callback=show)
        bar.update(task, completed=1.0, description="done")
    assert isinstance(result, CallToolResult)
    text = "\n".join(block.text for block in result.content if block.type == "text")
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print()
    if result.is_error or result.structured_content is None:
        raise SystemExit(f"{tool} failed")
    return await _finished(client, result.structured_content)


async def _finished(client: Client, report: dict[str, Any]) -> dict[str, Any]:
    """Follow a job that was handed back while it was running, as a model would."""
    while report.get("next") and report["next"]["tool"] == "get_job":
        result = await client.call_tool("get_job", report["next"]["arguments"])
        if result.is_error or result.structured_content is None:
            raise SystemExit("the job failed")
        report = result.structured_content
    return report


def _shown(arguments: dict[str, Any]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in arguments.items())


def _rows(what: str, report: dict[str, Any]) -> list[Row]:
    quote = report["quote"]["usd"]
    return [
        Row(
            what=what,
            path=artifact["path"],
            size=f"{artifact['width']}x{artifact['height']}",
            length=f"{artifact['duration_seconds']:.2f} s" if artifact["duration_seconds"] else "",
            cost="unknown" if quote is None else f"${quote:.4f}",
        )
        for artifact in report["artifacts"]
    ]


def _print_table(console: Console, rows: list[Row]) -> None:
    table = Table(title="Files", show_lines=False)
    for heading in ("what", "pixels", "length", "Google would charge"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(row.what, row.size, row.length, row.cost)
    console.print(table)
    for row in rows:
        console.print(f"{row.what}: {row.path}", soft_wrap=True, highlight=False, markup=False)
    console.print("\nCharged: $0, all of it was made by the emulator (test patterns, real protocol).")
    console.print("With a real key: export GEMINI_API_KEY=… (https://aistudio.google.com/apikey), then")
    console.print("  ./scripts/demo --live                         one real picture, after asking", highlight=False)
    console.print("  claude mcp add mediagen -- mediagen-mcp       and say: make me an image of …", highlight=False)


def _agreed() -> bool:
    try:
        return input("Make it? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


async def _live(console: Console, folder: Path) -> int:
    settings = read_settings()
    if settings.gemini_api_key is None:
        console.print(f"--live needs a key: set {' or '.join(GEMINI_KEY_VARIABLES)} and try again.")
        return 3
    arguments = {"prompt": "A cat as an astronaut, portrait in a sunlit space station, film still"}
    environment = {
        name: value for name, value in os.environ.items() if name in (*GEMINI_KEY_VARIABLES, "GOOGLE_GEMINI_BASE_URL")
    }
    environment |= {"MEDIAGEN_BACKEND": "gemini", "MEDIAGEN_OUTPUT_DIR": str(folder)}
    async with Client(_server(environment, folder)) as client:
        dry = await client.call_tool("generate_image", {**arguments, "dry_run": True})
        if dry.is_error or dry.structured_content is None:
            console.print("\n".join(block.text for block in dry.content if block.type == "text"), markup=False)
            return 1
        quote = dry.structured_content["quote"]
        console.print(
            f"One picture with {dry.structured_content['model']} costs about ${quote['usd']} ({quote['basis']})."
        )
        if not await anyio.to_thread.run_sync(_agreed):
            console.print("Nothing was sent.")
            return 0
        report = await _call(client, console, "generate_image", {**arguments, "max_usd": quote["max_usd"]})
    _print_table(console, _rows("picture", report))
    return 0
