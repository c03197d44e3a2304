import pytest

from mediagen.errors import InvalidRequestError
from mediagen.media.editing.times import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("1.5", 1.5),
        (".5", 0.5),
        (" 0 ", 0),
        (7, 7),
        (2.25, 2.25),
        ("1:05", 65),
        ("1:05.250", 65.25),
        ("0:00", 0),
        ("90:00", 5400),
        ("1:02:03", 3723),
        ("1:5", 65),
    ],
)
def test_time_is_read(text, seconds) -> None:
    assert parse_time(text, "start") == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "1:60", "1:2:3:4", "nan", "inf", "1e3", "١", "1:", ":5", "5s", -1, float("nan"), 10**400, True]
)
def test_what_is_no_time_is_refused_by_name(text) -> None:
    with pytest.raises(InvalidRequestError, match="start=") as raised:
        parse_time(text, "start")
    assert raised.value.field == "start"
