"""Values as nobody should send them, made from what is really sent, and what must hold whatever comes."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from mediagen.errors import MediaGenError

TESTS = Path(__file__).parents[1]
# Far above what any of these small inputs needs, on any machine.
MOST_SECONDS = 5.0


def _nested(depth: int, kind: str) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, -0.0, 1e308, float("nan"), float("inf"), 2**53, 2**63, -(2**64), 10**4000),
    *("", " ", "x", "0", "-1", "٣", "9" * 30, "nan", "\0", "\ud800", "a\udfff\ud800", "\u202e", "🦊", "=" * 9),
    *("inline:0", "inline:999999999", "inline:damaged", "gs://", "gs://bucket/..", "https://", "file:///etc/passwd"),
    *("x" * 5000, "<" * 5000, "http://" * 700, "image/", "data:image/png;base64,????", "IMAGE", "1e999", "26.5s"),
    *([], {}, [[]], [None], [{}], {"": None}, [1, "a", None, {"a": []}], _nested(60, "list"), _nested(150, "dict")),
)


def odd() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    built = st.recursive(
        leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=8), v, max_size=3)
    )
    return st.sampled_from(ODD).map(copy.deepcopy) | built


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a value: what holds it, and its name or number there."""
    if isinstance(value, dict | list):
        for name in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, name
            yield from _places(value[name])


@st.composite
def mutated(draw: st.DrawFn, samples: list[Any]) -> Any:
    """One of the samples with some of its places removed, doubled or filled with something odd."""
    found = {"top": copy.deepcopy(draw(st.sampled_from(samples)))}
    for _ in range(draw(st.integers(0, 4))):
        holder, name = draw(st.sampled_from(list(_places(found))))
        match draw(st.sampled_from(["odd", "odd", "remove", "wrap", "double"])):
            case "remove" if holder is not found:
                del holder[name]
            case "wrap":
                holder[name] = [holder[name], copy.deepcopy(holder[name])]
            case "double" if isinstance(holder[name], str):
                holder[name] *= 3
            case _:
                holder[name] = draw(odd())
    return found["top"]


@st.composite
def damaged(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """One of the samples cut off, with bytes changed, put in, taken out or doubled."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, max(0, len(data) - 1)) | st.integers(0, min(len(data), 400)))
        length = draw(st.integers(1, 12))
        match draw(st.sampled_from(["change", "change", "cut", "put", "take", "double"])):
            case "change":
                piece = st.sampled_from([b"\0", b"\xff", b"\x01", b"\x7f", b"\x80"]).map(lambda b: b * 4)
                new = draw(piece | st.binary(min_size=1, max_size=8))
                data[at : at + len(new)] = new
            case "cut":
                del data[at:]
            case "put":
                data[at:at] = draw(st.binary(max_size=length))
            case "take":
                del data[at : at + length]
            case _:
                data[at:at] = data[at : at + length * 20]
    return bytes(data)


def bodies(samples: list[Any]) -> st.SearchStrategy[bytes]:
    """Bodies of answers: JSON close to the real thing, the same damaged, and anything."""
    close = mutated(samples).map(lambda value: json.dumps(value).encode())
    deep = st.integers(1, 3000).map(lambda depth: b'{"error":' * depth)
    broken = damaged([json.dumps(sample).encode() for sample in samples])
    return close | close | broken | deep | st.binary(max_size=200)


def holds(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call it: it must end soon, with a value or with an error of ours whose words can be shown."""
    started = time.process_time()
    found, words = None, ""
    try:
        found = call(*arguments, **named)
    except MediaGenError as error:
        words = str(error)
    assert words.encode() is not None
    assert time.process_time() - started < MOST_SECONDS
    return found
