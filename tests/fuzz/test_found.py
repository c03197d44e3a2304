"""What fuzzing found, each as its smallest example."""

import time

import pytest

from mediagen.endpoints.wire.google_errors import parse_error
from mediagen.endpoints.wire.source_refusals import REGION_REFUSED, find_source_refusal


@pytest.mark.parametrize("sign", [b"<", b"http://", b"https://a?b ", b"AIza"])
def test_an_error_page_of_one_sign_repeated_is_read_at_once(sign):
    started = time.process_time()
    parse_error(500, {}, sign * (64 * 1024 // len(sign)))
    assert time.process_time() - started < 1


@pytest.mark.parametrize("words", ["upload ", "previous interaction ", "upload edit "])
def test_a_refusal_of_a_megabyte_is_told_apart_at_once(words):
    started = time.process_time()
    assert find_source_refusal(words * (1024**2 // len(words))) is None
    assert time.process_time() - started < 1


def test_a_refusal_is_still_known_by_words_in_any_order():
    found = find_source_refusal("In your region\none cannot edit videos that were uploaded.")
    assert found is not None
    assert found.code == REGION_REFUSED


@pytest.mark.parametrize("year_and_zone", ["9" * 30 + " 00:00:00 GMT", "2020 00:00:00 +" + "9" * 30])
def test_an_impossible_date_to_retry_after_counts_as_absent(year_and_zone):
    assert parse_error(429, {"Retry-After": f"Mon, 01 Jan {year_and_zone}"}, b"").retry_after is None
