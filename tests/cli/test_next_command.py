"""The next call as a command line that our own parser reads back."""

import shlex
from typing import Any

import pytest

from mediagen.cli.next_command import next_command
from mediagen.cli.parser import COMMANDS, build_parser, request_values
from mediagen.report.job import NextReport


@pytest.mark.parametrize(
    ("tool", "command", "arguments"),
    [
        ("extend_video", "extend", {"source": "job_1", "prompt": "it's 'on' 🐰", "times": 2}),
        ("generate_video", "video", {"remix_from": "my clip.mp4", "remix_start": "last", "generate_audio": False}),
        ("generate_image", "image", {"prompt": "a fox", "input_images": ["a b.png", "c.png"], "force_new": True}),
    ],
)
def test_next_command_is_read_back_as_the_same_call(tool: str, command: str, arguments: dict[str, Any]):
    line = next_command(NextReport(tool=tool, arguments=arguments, reason=""))
    words = shlex.split(line)
    assert words[:2] == ["mediagen", command]
    namespace = build_parser().parse_args(words[1:])
    request = COMMANDS[command][0]
    read = request.model_validate(request_values(namespace, request)).model_dump(mode="json", exclude_unset=True)
    assert read == arguments


def test_following_a_job_is_waiting_for_it():
    call = NextReport(tool="get_job", arguments={"job_id": "job_1", "wait_seconds": 45}, reason="")
    assert next_command(call) == "mediagen jobs wait job_1"


def test_settling_a_job_leaves_what_was_found_to_whoever_looked():
    call = NextReport(tool="resolve_job", arguments={"job_id": "job_1"}, reason="")
    assert next_command(call) == "mediagen jobs resolve job_1"
