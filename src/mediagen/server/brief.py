"""Cuts results short: some clients take no message above 1 MB, and a model reads none of it twice."""

import json
from collections.abc import Iterator
from typing import Any

from mediagen.report.job import JobReport

LARGEST_MESSAGE = 1_000_000
# What the preview leaves: 300,000 bytes are 400,000 as base64.
LARGEST_WORDS = 500_000
LONGEST_TEXT = 4_000
MOST_WARNINGS = 20
# Characters of one text and entries of one list, tried one after another until all of it fits.
LIMITS = ((LONGEST_TEXT, 1_000), (1_000, 100), (200, 20))
# What a caller has to be able to use as it stands: whoever asks for a variation sends the prompt again, and pays.
WHOLE = frozenset(
    {"artifact_id", "gcs_uri", "job_id", "negative_prompt", "next", "next_cursor", "operation", "path", "prompt"}
    | {"sha256", "status", "uri"}
)
SHORTENED = "This result was too long for a message; the longest texts and lists in it were cut."


def brief_job(report: JobReport) -> JobReport:
    """The report with its longest texts cut, but for the caller's prompt, and too many warnings counted."""
    warnings = report.warnings
    if len(warnings) > MOST_WARNINGS:
        warnings = [*warnings[:MOST_WARNINGS], f"… and {len(warnings) - MOST_WARNINGS} warnings more."]
    return report.model_copy(
        update={
            "requested": cut(report.requested, *LIMITS[0]),
            "effective": cut(report.effective, *LIMITS[0]),
            "request": cut(report.request, *LIMITS[0]),
            "warnings": cut(warnings, *LIMITS[0]),
        }
    )


def fitting(text: str, content: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Words and structured content that fit in one message with a preview."""
    if size_of(text, content) <= LARGEST_WORDS:
        return text, content
    return next(_shorter(text, content))


def size_of(*values: Any) -> int:
    """Bytes of the values as JSON."""
    return sum(len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) for value in values)


def cut(value: Any, characters: int, entries: int) -> Any:
    """The same JSON value with long texts and long lists cut; what must be whole stays whole."""
    match value:
        case str() if len(value) > characters:
            return f"{value[:characters]}… ({len(value) - characters} characters more)"
        case dict():
            return {name: inner if name in WHOLE else cut(inner, characters, entries) for name, inner in value.items()}
        case list():
            kept = [cut(inner, characters, entries) for inner in value[:entries]]
            is_words = len(value) > entries and all(isinstance(inner, str) for inner in value)
            return [*kept, f"… and {len(value) - entries} more"] if is_words else kept
        case _:
            return value


def _shorter(text: str, content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for characters, entries in LIMITS:
        content = cut(content, characters, entries)
        left = max(LARGEST_WORDS - size_of(content), LONGEST_TEXT)
        # A character is at most six bytes in JSON.
        words = text if size_of(text) <= left else f"{text[: left // 6]}…"
        words = f"{words}\n{SHORTENED}"
        if size_of(words, content) <= LARGEST_WORDS or (characters, entries) == LIMITS[-1]:
            yield words, content
