"""Which bodies are written without a thread."""

from typing import Any

import pytest

from mediagen.endpoints.wire.sizes import SMALL_CHARACTERS, is_small

MANY = {"contents": [{"parts": [{"text": "a fox"}]}] * SMALL_CHARACTERS}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, True),
        ({"contents": [{"parts": [{"text": "a fox"}]}], "generationConfig": {"seed": 7, "x": None}}, True),
        (({"contents": "x" * (SMALL_CHARACTERS - 100)},), True),
        ({"contents": [{"parts": [{"inlineData": {"data": "A" * (SMALL_CHARACTERS + 1)}}]}]}, False),
        (({"data": "A" * (SMALL_CHARACTERS // 2)},) * 2, False),
        ({"A" * (SMALL_CHARACTERS + 1): 1}, False),
        ([0] * (SMALL_CHARACTERS + 1), False),
        (MANY, False),
    ],
)
def test_body_is_small_when_all_that_it_holds_is(body: Any, expected: bool):
    assert is_small(body) is expected
