"""Takes keys and tokens out of what comes to the disk. Standard library only."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = b"[hidden]"
_MIN_SECRET = 8
# Another token of ours may be quoted than the one that was sent: of a call before, or of the bucket.
_FORMS = re.compile(
    rb"AIza[\w-]{10,}|\bAQ\.[\w.-]{8,}|\bya29\.[\w.-]{4,}|(?<=Bearer )[\w.~+/=-]{8,}|\b1//[\w-]{8,}|\bGOCSPX-[\w-]{4,}"
)


def without_secrets(data: bytes, secrets: Iterable[str]) -> bytes:
    """Hide `secrets`, however they are spelled in JSON or in an address, and whatever looks like a key of Google's."""
    for secret in secrets:
        if len(secret) < _MIN_SECRET:
            continue
        for spelling in {secret, json.dumps(secret)[1:-1], quote(secret), quote(secret, safe="")}:
            data = data.replace(spelling.encode("latin-1", "replace"), HIDDEN)
    return _FORMS.sub(HIDDEN, data)
