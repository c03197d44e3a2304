"""Keys and tokens that an answer quotes do not come to the disk."""

import json
from urllib.parse import quote

import pytest

from mediagen.submitter.hiding import without_secrets

SECRET = 'proxy-s3cret/"of"+mine'


@pytest.mark.parametrize("spell", [str, lambda text: json.dumps(text)[1:-1], quote, lambda text: quote(text, safe="")])
def test_secret_is_hidden_however_it_is_spelled(spell):
    text = f'{{"message": "Not valid: {spell(SECRET)} Please"}}'.encode()
    assert without_secrets(text, [SECRET]) == b'{"message": "Not valid: [hidden] Please"}'


@pytest.mark.parametrize(
    "other", ["ya29.c.0123456789abcdef", "AIzaSyA-0123456789abcdef", "AQ.0123456789", "1//0abcdefghij"]
)
def test_key_that_was_not_sent_is_hidden_by_its_form(other):
    assert without_secrets(f'"{other}", "x"'.encode(), []) == b'"[hidden]", "x"'


def test_word_that_is_too_short_to_be_a_secret_stays():
    assert without_secrets(b"the model is busy", ["busy", ""]) == b"the model is busy"
