"""What the clients want: seeded, each with words of its own by which it is found again in bill, ledger and files."""

import random
import re
from dataclasses import dataclass, field
from typing import Any, Literal

TAG = re.compile(r"chaos-[0-9a-f]{4}-[0-9]{4}")
Manner = Literal["wait", "poll", "abandon"]
MANNERS: tuple[Manner, ...] = ("wait", "poll", "poll", "abandon")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """One thing that a client wants once.

    Attributes:
        tag: Part of the prompt and of the name of the file.
        calls: Paid calls that it takes; more are paid twice.
        samples: Files that it makes.
        jobs: Jobs that it takes: the links of a chain.
        manner: How patient the client is.
        after: Tag of the wish whose clip it goes on from.
    """

    tag: str
    tool: str
    arguments: dict[str, Any] = field(hash=False)
    calls: int
    samples: int
    jobs: int = 1
    manner: Manner = "wait"
    after: str = ""


def make_wishes(seed: int, number: int, *, chains: bool) -> list[Wish]:
    """Think up so many wishes."""
    dice = random.Random(f"wishes {seed}")
    wishes: list[Wish] = []
    while len(wishes) < number:
        tag = f"chaos-{seed & 0xFFFF:04x}-{len(wishes):04d}"
        kinds, weights = (_picture, _omni, _veo), (5, 3, 3)
        before = [
            wish.tag for wish in wishes if wish.tool == "generate_video" and wish.arguments["backend"] == "gemini"
        ]
        if chains and before and dice.random() < 0.04:
            wishes.append(_chain(dice, tag, dice.choice(before)))
        else:
            wishes.append(dice.choices(kinds, weights)[0](dice, tag))
    return wishes


def _common(dice: random.Random, tag: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {"prompt": f"{tag}: a lighthouse in a storm", "output_name": tag, "preview": False}
    if dice.random() < 0.6:
        arguments["request_id"] = tag
    return arguments


def _picture(dice: random.Random, tag: str) -> Wish:
    count = dice.choice((1, 1, 1, 2))
    arguments = {**_common(dice, tag), "backend": dice.choice(("gemini", "vertex")), "image_size": "512"}
    if count > 1:
        arguments["count"] = count
    manner = dice.choice(MANNERS)
    return Wish(tag=tag, tool="generate_image", arguments=arguments, calls=count, samples=count, manner=manner)


def _omni(dice: random.Random, tag: str) -> Wish:
    arguments = {**_common(dice, tag), "backend": "gemini", "duration_seconds": 3, "resolution": "360p"}
    return Wish(tag=tag, tool="generate_video", arguments=arguments, calls=1, samples=1, manner=dice.choice(MANNERS))


def _veo(dice: random.Random, tag: str) -> Wish:
    count = dice.choice((1, 2, 2))
    arguments = {
        **_common(dice, tag),
        "backend": "vertex",
        "model": "veo-3.1-fast",
        "duration_seconds": 4,
        "resolution": "720p",
        "count": count,
    }
    manner = dice.choice(MANNERS)
    return Wish(tag=tag, tool="generate_video", arguments=arguments, calls=1, samples=count, manner=manner)


def _chain(dice: random.Random, tag: str, after: str) -> Wish:
    arguments = {**_common(dice, tag), "backend": "gemini", "duration_seconds": 3, "times": 2}
    return Wish(
        tag=tag, tool="extend_video", arguments=arguments, calls=2, samples=2, jobs=2, manner="wait", after=after
    )
