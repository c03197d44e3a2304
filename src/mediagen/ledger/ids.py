"""Ids of jobs and artifacts: sortable by time, not to be guessed, short."""

import re
import secrets
from collections.abc import Callable
from datetime import datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that is misread
ID_CHARACTERS = 26
RANDOM_BITS = 80
JOB_ID = re.compile(r"job_[0-9a-z]+")
ARTIFACT_ID = re.compile(r"art_[0-9a-z]{1,60}")


def new_job_id(clock: Callable[[], datetime]) -> str:
    """Make a job id: ``job_`` and 26 characters, sortable by the millisecond."""
    return f"job_{_sortable(clock())}"


def new_upload_id(clock: Callable[[], datetime]) -> str:
    """Make the id of a file that a caller sent: ``upl_`` and 26 characters, sortable by the millisecond."""
    return f"upl_{_sortable(clock())}"


def new_artifact_id(clock: Callable[[], datetime]) -> str:
    """Make an artifact id: ``art_`` and 26 characters, sortable by the millisecond."""
    return f"art_{_sortable(clock())}"


def _sortable(moment: datetime) -> str:
    number = int(moment.timestamp() * 1000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (ID_CHARACTERS - 1), -1, -5))
