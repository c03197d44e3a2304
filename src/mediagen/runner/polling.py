"""When to ask next for a job that runs at Google: seldom at first, often about when it should be done. Pure."""

from math import ceil

LONGEST = 3.0
SHORTEST = 0.6
# What jobs took is known from when they were noticed: whoever aims at that notices them ever later.
NOTICED_LATE = 0.2
LONGEST_AT_LAST = 1.1
POLLS_AT_LAST = 3
# No longer than this, or than so large a share of what it runs already: the estimate may be far off.
LONGEST_AT_FIRST = 2.0
SHARE_OF_ELAPSED = 0.5
SHARE_OF_OVERDUE = 0.15
# Nobody waits for a batch that may take a day, and a hundred of them may be open.
LONGEST_OF_BATCH = 12.0
SHARE_OF_BATCH = 0.1


def seconds_to_next_poll(elapsed: float, estimated: float, usual: float) -> float:
    """How long to wait before the next poll.

    At first half of what is left by the estimate, at last even steps of about the usual interval that end shortly
    before it: few polls are made before a job can be done, and one that is done a little early is not noticed late.
    Once it should be done, the longer it takes the more seldom.

    Args:
        elapsed: Seconds since the job was begun.
        estimated: Seconds after which such jobs were noticed to be done.
        usual: Interval between polls of a job of which nothing is known, in seconds; none is longer than three times
            or shorter than 0.6 of it.
    """
    ahead = estimated - NOTICED_LATE * usual - elapsed
    if ahead > 0:
        steps = ahead / (LONGEST_AT_LAST * usual)
        wanted = ahead / (ceil(steps) if steps <= POLLS_AT_LAST else 2)
    else:
        wanted = -ahead * SHARE_OF_OVERDUE
    wanted = min(wanted, max(LONGEST_AT_FIRST * usual, SHARE_OF_ELAPSED * elapsed))
    return min(LONGEST * usual, max(SHORTEST * usual, wanted))


def seconds_to_next_batch_poll(elapsed: float, usual: float) -> float:
    """How long to wait before the next poll of a batch: a tenth of what it takes already.

    Args:
        elapsed: Seconds since the job was begun.
        usual: Interval between polls of a job of which nothing is known, in seconds; none is shorter, or longer than
            twelve times of it.
    """
    return min(LONGEST_OF_BATCH * usual, max(usual, SHARE_OF_BATCH * elapsed))
