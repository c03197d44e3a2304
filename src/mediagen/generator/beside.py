"""Records beside a file: where they lie and what they hold; anybody may have put them there. Blocking."""

import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from mediagen.media.local_files import OPEN_FLAGS

RECORD_BYTES = 1_000_000
OWN_RECORD = "mediagen.sidecar."
# Of earlier tools: the record is named after the time in the name of the file, not after the file.
_TIMESTAMP = re.compile(r"\d{8}_\d{6}")


def paths_beside(path: Path) -> list[Path]:
    """Where the record of a file may lie: our own sidecar, or that of an earlier tool."""
    timestamp = _TIMESTAMP.search(path.name)
    return [path.with_suffix(".json"), *([path.with_name(f"metadata_{timestamp[0]}.json")] if timestamp else [])]


def read_beside(record: Path) -> dict[str, Any] | str:
    """What a record holds, or why it cannot be used; empty when there is none."""
    try:
        with open(record, "rb", opener=_opened) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return "it is not a file"
            data = file.read(RECORD_BYTES + 1)
        if len(data) > RECORD_BYTES:
            return "it is larger than 1 MB"
        values = json.loads(data.decode("utf-8-sig"))
    except FileNotFoundError:
        return ""
    except IsADirectoryError:
        return "it is not a file"
    except OSError as error:
        if error.errno == errno.ELOOP:
            # It may lead out of the folders from which files may be read.
            return "symbolic links are not followed"
        return error.strerror or type(error).__name__
    except (ValueError, RecursionError):
        return "it is not JSON"
    return values if isinstance(values, dict) else "it is no record"


def _opened(path: str, _: int) -> int:
    return os.open(path, OPEN_FLAGS)
