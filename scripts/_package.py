"""Parts of scripts/package that need the code: the bundle for desktop hosts, and talking to a packed server.

Usage: _package.py bundle FOLDER | wheel FILE | handshake [--cwd FOLDER] COMMAND...
"""

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Of the sources; what else lies there is made by tools.
SUFFIXES = {".py", ".toml", ".sql", ".html", ".js", ".json", ".css", ".png", ".typed"}
HANDSHAKE_SECONDS = 180


def manifest() -> dict[str, Any]:
    """Manifest of the bundle (MCPB 0.4): uv makes the environment on the machine of the user."""
    from mediagen import __version__
    from mediagen.server.toolsets import TOOLS

    asked = {
        "GEMINI_API_KEY": ("gemini_api_key", "Gemini API key", "From https://aistudio.google.com/apikey.", "string"),
        "GOOGLE_CLOUD_PROJECT": ("project", "Google Cloud project", "Only for Vertex AI.", "string"),
        "GOOGLE_APPLICATION_CREDENTIALS": ("credentials", "Credentials", "JSON file, only for Vertex AI.", "file"),
        "MEDIAGEN_OUTPUT_DIR": ("output_dir", "Folder for the files", "Where pictures and clips go.", "directory"),
        "MEDIAGEN_MAX_USD_PER_DAY": ("max_usd_per_day", "Dollars a day", "Most that a day may cost.", "number"),
    }
    return {
        "manifest_version": "0.4",
        "name": "mediagen",
        "display_name": "mediagen",
        "version": __version__,
        "description": "Pictures and films on Google's media models: Gemini image models, Gemini Omni and Veo.",
        "author": {"name": "mediagen maintainers"},
        "license": "Apache-2.0",
        "icon": "icon.png",
        "keywords": ["gemini", "veo", "omni", "image generation", "video generation"],
        "server": {
            "type": "uv",
            "entry_point": "src/mediagen/server/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": [
                    *("run", "--compile-bytecode", "--project", "${__dirname}"),
                    *("--extra", "emulator", "--no-dev", "mediagen-mcp"),
                ],
                "env": {
                    **{variable: f"${{user_config.{name}}}" for variable, (name, *_) in asked.items()},
                    "MEDIAGEN_TOOLSETS": "core,jobs,edit",
                },
            },
        },
        "tools": [{"name": tool.name, "description": tool.description} for tool in TOOLS],
        "user_config": {
            name: {
                "type": kind,
                "title": title,
                "description": description,
                "required": False,
                **({"sensitive": True} if variable.endswith("_KEY") else {}),
                **({"default": "${DOCUMENTS}"} if kind == "directory" else {}),
            }
            for variable, (name, title, description, kind) in asked.items()
        },
        "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": ">=3.11,<4"}},
    }


def bundle(folder: Path) -> int:
    """Lay out the bundle in a folder."""
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / ".claude-plugin" / "icon.png", folder / "icon.png")
    for path in (ROOT / "src").rglob("*"):
        if path.is_file() and path.suffix in SUFFIXES:
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (folder / "manifest.json").write_text(json.dumps(manifest(), indent=2) + "\n", encoding="utf-8")
    return 0


def wheel(file: Path) -> int:
    """Check that a wheel has all of the package, and nothing else."""
    names = set(zipfile.ZipFile(file).namelist())
    sources = ROOT / "src"
    wanted = {
        path.relative_to(sources).as_posix()
        for path in (sources / "mediagen").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    others = {name for name in names - wanted if ".dist-info/" not in name}
    for word, found in (("missing", wanted - names), ("not ours", others)):
        for name in sorted(found):
            print(f"{file.name}: {word}: {name}")
    print(f"{file.name}: {len(wanted)} files of the package")
    return 1 if wanted - names or others else 0


def handshake(command: list[str], cwd: Path) -> int:
    """Start a server over stdio, list its tools, and let it make a picture on the emulator."""
    import anyio

    paths = anyio.run(_handshake, command, cwd)
    return 0 if paths and all(Path(path).is_file() for path in paths) else 1


async def _handshake(command: list[str], cwd: Path) -> list[str]:
    import anyio
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    environment = {**os.environ, "MEDIAGEN_BACKEND": "emulator", "MEDIAGEN_STATE_DIR": str(cwd / "state")}
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment, cwd=cwd)
    with anyio.fail_after(HANDSHAKE_SECONDS):
        async with Client(stdio_client(parameters)) as client:
            tools = (await client.list_tools()).tools
            result = await client.call_tool("generate_image", {"prompt": "a lighthouse", "output_dir": str(cwd)})
    content = result.structured_content or {}
    paths = [artifact["path"] for artifact in content.get("artifacts", [])]
    print(f"{' '.join(command)}: {len(tools)} tools; {content.get('status')}: {', '.join(paths)}")
    return paths


def main(arguments: list[str]) -> int:
    """Run one part."""
    match arguments:
        case ["bundle", folder]:
            return bundle(Path(folder))
        case ["wheel", file]:
            return wheel(Path(file))
        case ["handshake", "--cwd", folder, *command] if command:
            return handshake(command, Path(folder))
        case ["handshake", *command] if command:
            return handshake(command, Path.cwd())
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
