"""Check that modules and functions stay small enough to read at once."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "tests/chaos")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40

# What may be larger, and why: "path" or "path::name" -> reason. An entry that is not needed any more fails the check.
EXCEPTIONS: dict[str, str] = {}


def oversized(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the trouble of everything in a file that is too long."""
    name = path.relative_to(ROOT).as_posix()
    source = path.read_text(encoding="utf-8")
    lines = len(source.splitlines())
    if lines > MAX_MODULE_LINES:
        yield name, f"{name}: {lines} lines, at most {MAX_MODULE_LINES}"
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        yield name, f"{name}:{error.lineno}: cannot be read: {error.msg}"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                trouble = f"{name}:{node.lineno}: {node.name} has {lines} lines, at most {MAX_FUNCTION_LINES}"
                yield f"{name}::{node.name}", trouble


def main() -> int:
    """Print what is too long; the exit code says whether there is any."""
    found = [pair for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) for pair in oversized(path)]
    troubles = [trouble for key, trouble in found if key not in EXCEPTIONS]
    keys = {key for key, _ in found}
    troubles += [
        f"scripts/check_size.py: the exception for {key} is not needed" for key in EXCEPTIONS if key not in keys
    ]
    print("\n".join(troubles) or "every module and function is small enough")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
