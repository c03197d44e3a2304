import pytest

from mediagen.errors import InvalidRequestError
from mediagen.storage.names import sanitise_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "cat"),
        ("My cat, at dawn (v2)", "My cat, at dawn (v2)"),
        ("แมว 🐱", "แมว 🐱"),
        ("👩‍🚀 in space", "👩‍🚀 in space"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\x", "C__Windows_x"),
        ("..hidden", "hidden"),
        ("cat.", "cat"),
        ("  cat  ", "cat"),
        ("cat.png", "cat"),
        ("cat.PNG.mp4", "cat"),
        ("v1.2", "v1.2"),
        ("a\nb\x00c\x1b[31m", "abc[31m"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("con", "_con"),
        ("NUL.tar", "_NUL.tar"),
        ("com1", "_com1"),
        ("console", "console"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_sanitise_name_gives_a_safe_name(name: str, expected: str) -> None:
    assert sanitise_name(name) == expected
    assert sanitise_name(expected) == expected


@pytest.mark.parametrize(
    "name", ["a" * 500, "🐱" * 500, "ก" * 500, ("a" * 119) + ".b", "x" * 118 + ".png", "con" + "." * 300 + "x"]
)
def test_sanitise_name_limits_characters_and_bytes(name: str) -> None:
    safe = sanitise_name(name)
    assert 0 < len(safe) <= 120
    assert len(safe.encode()) <= 200
    assert sanitise_name(safe) == safe


@pytest.mark.parametrize("name", ["", " ", "...", "\x00\n", "///", ".png", "\u200d", "\ud800"])
def test_sanitise_name_refuses_what_leaves_nothing(name: str) -> None:
    if name == ".png":
        assert sanitise_name(name) == "png"
        return
    with pytest.raises(InvalidRequestError) as raised:
        sanitise_name(name)
    assert raised.value.field == "output_name"
