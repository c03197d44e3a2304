import statistics
from itertools import pairwise

import pytest

from mediagen.runner.polling import seconds_to_next_batch_poll, seconds_to_next_poll

USUAL = 10.0


def polls(duration: float, estimated: float) -> list[float]:
    """Moments at which a job is asked for until it is found done."""
    moments = [seconds_to_next_poll(0.0, estimated, USUAL)]
    while moments[-1] < duration:
        moments.append(moments[-1] + seconds_to_next_poll(moments[-1], estimated, USUAL))
    return moments


def lateness(duration: float, estimated: float) -> float:
    return polls(duration, estimated)[-1] - duration


def test_clip_that_takes_as_long_as_usual_is_found_in_time_with_few_polls():
    found = [polls(duration, 80.0) for duration in range(64, 97)]
    assert max(map(len, found[:17])) <= 8
    assert len(polls(80.0, 80.0)) <= 8
    assert statistics.median(lateness(duration, 80.0) for duration in range(64, 97)) <= 5.0


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
    assert seconds_to_next_poll(0.0, 0.0, 0.05) == pytest.approx(0.025)


def test_batch_is_polled_ever_more_seldom():
    assert seconds_to_next_batch_poll(0.0, USUAL) == USUAL
    assert seconds_to_next_batch_poll(600.0, USUAL) == 60.0
    assert seconds_to_next_batch_poll(24 * 3600.0, USUAL) == 120.0
    elapsed, polls = 0.0, 0
    while elapsed < 24 * 3600.0:
        elapsed += seconds_to_next_batch_poll(elapsed, USUAL)
        polls += 1
    assert polls < 800
