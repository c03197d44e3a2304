"""What reaches the terminal: nothing that it would obey."""

import json

import pytest
from pydantic import BaseModel

from mediagen.cli.console import print_error, print_report

HOSTILE = "a\x1b]0;owned\x07b\x9b2Jc\x7fd\u202ee\u2066f\r"


class Said(BaseModel):
    prompt: str


def test_json_escapes_what_a_terminal_would_obey_and_reads_back_the_same(capsys: pytest.CaptureFixture[str]):
    print_report(Said(prompt=HOSTILE), "", as_json=True)
    printed = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert json.loads(printed) == {"prompt": HOSTILE}


def test_words_and_errors_hold_no_commands_for_a_terminal(capsys: pytest.CaptureFixture[str]):
    print_report(Said(prompt=""), f"first: {HOSTILE}\nsecond:\t\N{CLAPPER BOARD}", as_json=False)
    print_error(f"cannot read {HOSTILE}")
    printed = capsys.readouterr()
    assert all(character.isprintable() or character in "\n\t" for character in printed.out + printed.err)
    assert printed.out.endswith("\nsecond:\t\N{CLAPPER BOARD}\n")


def test_half_a_character_is_printed_as_its_escape(capsys: pytest.CaptureFixture[str]):
    print_error("name \ud83d.mp4")
    assert capsys.readouterr().err == "mediagen: name \ufffd.mp4\n"
