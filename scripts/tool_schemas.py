"""Write down every tool as clients see it: for the server, and to be read as tests/server/tool_schemas/<name>.json.

A test compares both with the tools.
"""

import json
import sys
from pathlib import Path

from mediagen.server.listing import FILE
from mediagen.server.toolsets import seen_tools

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "server" / "tool_schemas"


def main() -> int:
    """Replace all files of the folder."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.json"):
        file.unlink()
    for tool in seen_tools():
        text = json.dumps(tool["tool"], indent=2, ensure_ascii=False)
        (FOLDER / f"{tool['tool']['name']}.json").write_text(f"{text}\n", encoding="utf-8")
    text = json.dumps(seen_tools(), ensure_ascii=False, separators=(",", ":"))
    (ROOT / "src" / "mediagen" / "server" / FILE).write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
