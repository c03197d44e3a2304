import statistics
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


def test_clip_that_takes_as_long_as_usual_is_found_in_time_with_few_polls():
    found = [polls(duration, 80.0) for duration in range(64, 97)]
    assert max(map(len, found[:17])) <= 5
    assert statistics.median(lateness(duration, 80.0) for duration in range(64, 97)) <= 5.0


@pytest.mark.parametrize(("estimated", "most"), [(40.0, 3), (60.0, 4), (80.0, 5)])
def test_clip_that_takes_exactly_as_long_as_usual_is_found_by_the_poll_that_aims_at_its_end(
    estimated: float, most: int
):
    assert len(polls(estimated, estimated)) == most
    assert lateness(estimated, estimated) <= 3.0


@pytest.mark.parametrize("waited", [0.0, 0.5, 1.0, 2.0])
def test_clip_that_had_to_wait_a_little_before_it_was_sent_costs_no_further_poll(waited: float):
    moments = polls(60.0 + waited, 60.0, begun=waited)
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
