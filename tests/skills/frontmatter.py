"""Reads the head of a skill or agent: the part of YAML that they use, and nothing that YAML would read otherwise."""

import re

Head = dict[str, str | list[str]]


def parts(text: str) -> tuple[Head, str]:
    """Head and body.

    Raises:
        ValueError: There is no head, or a line of it is not plain enough.
    """
    match = re.match(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL)
    if match is None:
        raise ValueError("has no head between two lines of ---")
    head: Head = {}
    last = ""
    for line in match[1].splitlines():
        item = re.fullmatch(r" +- (\S+)", line)
        pair = re.fullmatch(r"([a-z][a-z-]*):(?: (.+))?", line)
        if item and isinstance(found := head.get(last), list):
            found.append(item[1])
        elif pair and pair[1] not in head:
            last = pair[1]
            head[last] = _plain(pair[2]) if pair[2] else []
        else:
            raise ValueError(f"cannot be read: {line}")
    return head, match[2]


def _plain(value: str) -> str:
    if value.startswith('"') and value.endswith('"') and '"' not in value[1:-1] and "\\" not in value:
        return value[1:-1]
    if value[0] in "\"'[]{}>|*&!%#`@,?:-" or ": " in value or " #" in value or value.endswith(":"):
        raise ValueError(f"YAML reads this as something else than text: {value}")
    return value
