"""The call that makes sense now, as a command to type. Pure."""

import shlex
from typing import Any

from mediagen.report.job import NextReport

# Tool → command and the argument that stands without an option.
_COMMANDS = {
    "generate_image": ("image", "prompt"),
    "generate_video": ("video", "prompt"),
    "extend_video": ("extend", "source"),
    "get_job": ("jobs wait", "job_id"),
    "resolve_job": ("jobs resolve", "job_id"),
}


def next_command(call: NextReport) -> str:
    """Write a call as a command line; one of a tool without a command stays as it is."""
    if call.tool not in _COMMANDS:
        return f"{call.tool} {call.arguments}"
    command, positional = _COMMANDS[call.tool]
    words = ["mediagen", *command.split()]
    words += [str(call.arguments[positional])] if positional in call.arguments else []
    for name, value in call.arguments.items():
        # `jobs wait` waits until the end.
        if name not in {positional, "wait_seconds"}:
            words += _option(f"--{name.replace('_', '-')}", value)
    return shlex.join(words)


def _option(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, list):
        return [word for item in value for word in (flag, str(item))]
    return [flag, str(value)]
