from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mediagen.batch.pace import Limit, due_at
from mediagen.ledger.traffic import Refusal, Traffic

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def traffic(taken: Sequence[float], refused: Sequence[tuple[float, float | None]] = ()) -> Traffic:
    return Traffic(
        taken=tuple(map(at, taken)),
        refused=tuple(Refusal(sent=at(when), at=at(when), retry_after=wait) for when, wait in refused),
    )


def test_nothing_is_held_back_while_nothing_was_refused():
    assert due_at(Limit(), traffic(range(50)), at(50)) == at(50)


def test_no_call_leaves_before_google_said():
    assert due_at(Limit(), traffic([0, 1], [(2, 26)]), at(3)) == at(28)
    assert due_at(Limit(), traffic([0, 1], [(2, None)]), at(3)) == at(12)


def test_of_batches_it_is_waited_for_room_and_nothing_is_learned():
    limit = Limit(is_of_calls=False, usual_wait=timedelta(seconds=60))
    assert due_at(limit, traffic([0, 1], [(2, None)]), at(3)) == at(62)
    assert due_at(limit, traffic([0, 1], [(2, None)]), at(63)) == at(63)
    assert limit.calls is None


def test_what_was_taken_in_a_minute_is_the_limit_from_then_on():
    limit = Limit()
    due_at(limit, traffic([0, 1, 2], [(3, 5)]), at(4))
    assert limit.calls == 3
    # After the wait the three of the last minute are still all that is taken.
    assert due_at(limit, traffic([0, 1, 2], [(3, 5)]), at(9)) == at(60)
    assert due_at(limit, traffic([0, 1, 2], [(3, 5)]), at(60)) == at(60)
    assert due_at(limit, traffic([1, 2, 60], [(3, 5)]), at(60.5)) == at(61)


def test_one_more_is_tried_after_a_while_and_given_up_when_it_is_refused():
    limit = Limit(calls=40, since=at(0))
    full = [float(second) for second in range(81, 121)]
    assert due_at(limit, traffic(full), at(119.9)) == at(141)
    assert due_at(limit, traffic(full), at(121)) == at(121)
    assert limit.calls == 42
    due_at(limit, traffic(full, [(122, 1)]), at(122.5))
    assert limit.calls == 40


def test_small_limits_are_tried_more_seldom():
    limit = Limit(calls=5, since=at(0))
    due_at(limit, traffic([]), at(479))
    assert limit.calls == 5
    due_at(limit, traffic([]), at(480))
    assert limit.calls == 6


def test_limit_of_nothing_still_lets_one_call_try():
    limit = Limit()
    assert due_at(limit, traffic([], [(0, 4)]), at(1)) == at(4)
    assert due_at(limit, traffic([], [(0, 4)]), at(5)) == at(5)
