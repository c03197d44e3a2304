"""Takes keys, signed URLs and the caller's own words out of text that Google sends back."""

import json
import re
from collections.abc import Sequence

HIDDEN = "…"
_SHORTEST_PREFIX = 24
_SHORTEST_LINE = 16
_SHORTEST_WORD = 5

_KEYS = re.compile(
    r"AIza[\w-]{10,}|\bAQ\.[\w.-]{8,}|\bya29\.[\w.-]{4,}|auth_tokens/[\w.-]+|(?<=Bearer )[\w.~+/=-]{8,}"
    r"|\b1//[\w-]{8,}|\bGOCSPX-[\w-]{4,}",
)
_KEY_PARAMETER = re.compile(r"(?i)\b((?:api[_-]?)?key|access_token|token|signature)=[^\s&\"'<>]+")
# Takes addresses without a query as well, so that no character is looked at twice.
_URL = re.compile(r"https?://[^\s?\"'<>]*(?:\?[^\s\"'<>]+)?")


def scrub(text: str, secrets: Sequence[str] = ()) -> str:
    """Hide keys, the queries of URLs, and `secrets` (prompts, keys) wherever they occur, also when cut short."""
    lines = (line for secret in secrets for line in secret.splitlines() if len(line) >= _SHORTEST_LINE)
    for secret in sorted({*secrets, *lines}, key=len, reverse=True):
        for spelling in {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}:
            text = _without(text, spelling.strip())
    text = _URL.sub(_without_query, text)
    text = _KEY_PARAMETER.sub(rf"\1={HIDDEN}", text)
    return _KEYS.sub(HIDDEN, text)


def excerpt(text: str, limit: int) -> str:
    """At most `limit` characters of a scrubbed text, on one line."""
    # Cutting the input first bounds the work on a huge answer.
    clean = " ".join(scrub(text[: 8 * limit]).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + HIDDEN


def _without_query(address: re.Match[str]) -> str:
    head, mark, _ = address[0].partition("?")
    return f"{head}?{HIDDEN}" if mark else head


def _without(text: str, secret: str) -> str:
    if not secret:
        return text
    if len(secret) < _SHORTEST_WORD:
        return text.replace(f'"{secret}"', f'"{HIDDEN}"')
    text = text.replace(secret, HIDDEN)
    prefix = secret[:_SHORTEST_PREFIX]
    while len(prefix) == _SHORTEST_PREFIX and (start := text.find(prefix)) >= 0:
        end = start
        while end < len(text) and end - start < len(secret) and text[end] == secret[end - start]:
            end += 1
        text = text[:start] + HIDDEN + text[end:]
    return text
