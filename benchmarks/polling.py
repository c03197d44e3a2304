"""How often a clip is asked about, and how late it is noticed: the real function, on a clock that is only counted.

What such clips take is learned as the ledger learns it: from when the last ones were noticed.
"""

import random
from collections import deque
from collections.abc import Iterator

from benchmarks.measuring import Figure, median
from mediagen.runner.polling import seconds_to_next_poll

USUAL_SECONDS = 10.0
CLIP_SECONDS = 80.0
# What an answer takes to come, and by how much a clip differs from what such clips take.
TRIP_SECONDS = 0.2
SPREAD = 0.1
CLIPS = 2000
# So many clips the ledger looks back.
LEARNED_FROM = 20


def measure(clips: int = CLIPS) -> list[Figure]:
    """Follow many clips that take about as long as they usually do."""
    chance = random.Random(7)
    polls, late = [], []
    learned = deque([CLIP_SECONDS], LEARNED_FROM)
    for _ in range(clips):
        done = chance.gauss(CLIP_SECONDS, SPREAD * CLIP_SECONDS)
        moments = list(polled_at(done, median(learned), USUAL_SECONDS))
        learned.append(moments[-1])
        polls.append(float(len(moments)))
        late.append(moments[-1] - done)
    return [
        Figure(
            name=f"polls of a clip that takes {CLIP_SECONDS:g} s, median",
            unit="polls",
            value=median(polls),
            floor=CLIP_SECONDS / USUAL_SECONDS,
            bar=8.0,
            kind="value",
            samples=clips,
        ),
        Figure(
            name=f"a clip that takes {CLIP_SECONDS:g} s is noticed late, median",
            unit="s",
            value=median(late),
            bar=5.0,
            kind="value",
            samples=clips,
        ),
    ]


def polled_at(done: float, estimated: float, usual: float) -> Iterator[float]:
    """The moments at which a clip is asked about, up to the one that finds it done."""
    moment = 0.0
    while moment < done:
        moment += seconds_to_next_poll(moment, estimated, usual) + TRIP_SECONDS
        yield moment
