import random
import statistics
from collections import deque
from collections.abc import Iterable
from itertools import pairwise

import pytest

from mediagen.runner.polling import seconds_to_next_batch_poll, seconds_to_next_poll

USUAL = 10.0


def polls(duration: float, estimated: float, begun: float = 0.0) -> list[float]:
    """Moments at which a job is asked for until it is found done; Google knows of it from `begun` on."""
    moments = [begun + seconds_to_next_poll(begun, estimated, USUAL)]
    while moments[-1] < duration:
        moments.append(moments[-1] + seconds_to_next_poll(moments[-1], estimated, USUAL))
    return moments


def lateness(duration: float, estimated: float) -> float:
    return polls(duration, estimated)[-1] - duration


def learned(durations: Iterable[float], first: float) -> list[tuple[int, float]]:
    """Polls and lateness of clips one after the other; each is expected to take what the last ones seemed to take."""
    noticed, found = deque([first], 20), []
    for duration in durations:
        moments = polls(duration, statistics.median(noticed))
        noticed.append(moments[-1])
        found.append((len(moments), moments[-1] - duration))
    return found


@pytest.mark.parametrize(("seconds", "most"), [(40.0, 4.5), (60.0, 5.0), (80.0, 6.0)])
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.1])
def test_clips_that_take_about_as_long_as_the_last_ones_are_found_soon_with_few_polls(
    seconds: float, most: float, spread: float
):
    chance = random.Random(3)
    found = learned([chance.gauss(seconds, spread * seconds) for _ in range(2000)], seconds)
    assert statistics.mean(number for number, _ in found) <= most
    assert statistics.median(late for _, late in found) <= 4.0


def test_clips_that_all_take_equally_long_are_not_noticed_ever_later():
    found = [late for _, late in learned([60.0] * 500, 60.0)]
    assert max(found) <= 0.7 * USUAL
    assert statistics.mean(found) <= 0.4 * USUAL


@pytest.mark.parametrize("waited", [0.0, 0.5, 1.0])
def test_clip_that_had_to_wait_a_little_before_it_was_sent_costs_no_further_poll(waited: float):
    moments = polls(60.0 + waited, 63.0, begun=waited)
    assert len(moments) == 4
    assert moments[-1] - 60.0 - waited <= 3.0


@pytest.mark.parametrize("estimated", [40.0, 60.0, 80.0])
def test_clip_that_takes_from_two_thirds_to_twice_the_estimate_is_noticed_within_about_an_interval(estimated: float):
    for duration in range(round(0.67 * estimated), round(2 * estimated) + 1):
        assert 0 <= lateness(float(duration), estimated) <= USUAL + 1


@pytest.mark.parametrize("estimated", [20.0, 40.0, 60.0, 80.0, 120.0, 300.0, 3600.0])
def test_estimate_that_is_far_off_makes_no_job_very_late(estimated: float):
    for duration in range(5, 600):
        late = lateness(float(duration), estimated)
        assert 0 <= late <= 3 * USUAL
        assert late <= max(2 * USUAL, 0.5 * duration)


def test_polls_do_not_become_more_frequent_the_longer_a_job_is_overdue():
    moments = polls(3600.0, 60.0)
    pauses = [round(after - before, 6) for before, after in pairwise(moments) if before > 60.0]
    assert pauses == sorted(pauses)
    assert max(pauses) == 3 * USUAL


def test_short_interval_is_kept_whatever_is_estimated():
    assert seconds_to_next_poll(0.0, 80.0, 0.05) == pytest.approx(0.1)
    assert seconds_to_next_poll(0.0, 0.0, 0.05) == pytest.approx(0.03)


def test_batch_is_polled_ever_more_seldom():
    assert seconds_to_next_batch_poll(0.0, USUAL) == USUAL
    assert seconds_to_next_batch_poll(600.0, USUAL) == 60.0
    assert seconds_to_next_batch_poll(24 * 3600.0, USUAL) == 120.0
    elapsed, polls = 0.0, 0
    while elapsed < 24 * 3600.0:
        elapsed += seconds_to_next_batch_poll(elapsed, USUAL)
        polls += 1
    assert polls < 800
