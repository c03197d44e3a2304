"""Words of strangers that reach a reader: the model, the log, the terminal, and the names of files."""

import logging
from pathlib import Path
from typing import Any

import pytest
from tests.hostile.conftest import Attack, said, trouble_with

COMMANDS = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202eevil\u2066\x9b31m"
NAMES = {
    "a folder above": "../../escaped",
    "a folder": "/etc/cron.d/escaped",
    "a drive": r"C:\Windows\escaped",
    "a share": r"\\evil.example\share\escaped",
    "a reserved name": "CON",
    "a reserved name with an ending": "nul.png",
    "a stream": "x:$DATA",
    "commands": f"x{COMMANDS}",
    "a line": "x\nFile: /etc/passwd",
    "dots and spaces": " ..x.. ",
    "a hidden file": ".bashrc",
    "120 emoji": "🦊" * 120,
    "an option": "-rf",
    "another ending": "x.mp4.exe",
}


async def test_name_of_a_result_stays_in_its_folder_and_overwrites_nothing(attack: Attack) -> None:
    async with attack() as attacked:
        folder = attacked.traps.inside / "results"
        folder.mkdir()
        for row, name in NAMES.items():
            arguments = {"source": "cat.png", "width": 9, "output_dir": str(folder), "output_name": name}
            before = {path: path.read_bytes() for path in folder.iterdir()}
            for _ in range(2):
                result = await attacked.client.call_tool("resize_image", arguments)
                if result.is_error:
                    attacked.failures[row] = said(result)
                elif trouble := trouble_with(said(result), most=4000):
                    attacked.failures[row] = trouble
            after = {path: path.read_bytes() for path in folder.iterdir()}
            if any(after.get(path) != data for path, data in before.items()):
                attacked.failures[row] = "changed another file"
            made = [path for path in after if path not in before]
            if len([path for path in made if path.suffix == ".png"]) != 2:
                attacked.failures[row] = f"made {made}"
            if any(not _is_plain(path) for path in made):
                attacked.failures[row] = f"is called {made}"
        assert not list(attacked.traps.inside.parent.rglob("*escaped*")) or all(
            folder in path.parents for path in attacked.traps.inside.parent.rglob("*escaped*")
        )


def _is_plain(path: Path) -> bool:
    return path.name.isprintable() and not path.name.startswith(".") and not set(path.name) & set('<>:"\\|?*')


async def test_commands_in_words_reach_no_reader(attack: Attack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="mediagen")
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "prompt": ("generate_image", {"prompt": f"a fox {COMMANDS}", "backend": "gemini"}),
        "dry run": ("generate_image", {"prompt": f"a fox {COMMANDS}", "backend": "gemini", "dry_run": True}),
        "file name": ("probe_media", {"source": f"{COMMANDS}.png"}),
        "unknown argument": ("list_jobs", {COMMANDS: 1}),
        "unknown argument, long": ("list_jobs", {"x" * 5000: 1}),
        "list": ("list_jobs", {}),
    }
    async with attack() as attacked:
        (attacked.traps.inside / f"{COMMANDS}.png".replace("/", "")).write_bytes(b"no picture")
        for row, (tool, arguments) in calls.items():
            result = await attacked.client.call_tool(tool, arguments)
            if trouble := trouble_with(said(result), most=6000):
                attacked.failures[row] = trouble
    assert not trouble_with(caplog.text, most=10**6)
