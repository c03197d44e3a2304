"""What APIs are called, and what names of places at Google look like. Loads nothing."""

import re
from typing import Final, Literal

Surface = Literal["gemini", "vertex", "cliproxy"]
Backend = Literal["auto", "gemini", "vertex", "cliproxy", "emulator"]

LOCATION: Final = re.compile(r"[a-z][a-z0-9-]{1,49}")
PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
