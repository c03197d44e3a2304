"""The viewer as an extension: one page that contains all it needs and asks nobody but its host.

The page speaks MCP Apps of 2026-01-26 with the host that shows it.
Source: https://github.com/modelcontextprotocol/ext-apps, specification/2026-01-26/apps.mdx (checked 2026-11-21)
"""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Final

from mcp.server.apps import Apps, ResourceCsp

from mediagen import __version__

VIEWER_URI: Final = "ui://mediagen/viewer"
_NOTHING_FROM_OUTSIDE = ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[])


def viewer() -> Apps:
    """The extension that offers the viewer; tools name it by `VIEWER_URI` in their metadata."""
    apps = Apps()
    apps.add_html_resource(
        VIEWER_URI,
        viewer_page(),
        name="viewer",
        title="mediagen viewer",
        description="Shows pictures and plays clips, with prompt and cost, where the host shows MCP Apps.",
        csp=_NOTHING_FROM_OUTSIDE,
        prefers_border=True,
    )
    return apps


def viewer_page() -> str:
    """The page; its content policy admits its own script and its own style, and no other."""
    page = (files("mediagen.server.viewer") / "viewer.html").read_text(encoding="utf-8")
    page = page.replace("@version@", __version__)
    for name in ("script", "style"):
        page = page.replace(f"@{name}@", _hash_source(_content_of(page, name)), 1)
    return page


def _content_of(page: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
    assert found
    return found[1]


def _hash_source(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
