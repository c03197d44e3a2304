"""Write down every tool as clients see it: tests/server/tool_schemas/<name>.json. A test compares them."""

import json
import sys
from pathlib import Path

import anyio

from mediagen.server.build import build_server
from mediagen.settings import read_settings

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "server" / "tool_schemas"


def main() -> int:
    """Replace all files of the folder."""
    server = build_server(read_settings({"MEDIAGEN_BACKEND": "emulator", "MEDIAGEN_TOOLSETS": "core,jobs,edit"}))
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.json"):
        file.unlink()
    for tool in anyio.run(server.list_tools):
        seen = tool.model_dump(by_alias=True, mode="json", exclude_none=True)
        text = json.dumps(seen, indent=2, ensure_ascii=False)
        (FOLDER / f"{tool.name}.json").write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
