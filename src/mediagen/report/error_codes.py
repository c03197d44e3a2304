"""What each error code means, as data; no I/O but reading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorCode:
    """One code, whichever class of errors has it.

    Attributes:
        remedy: What to do about it.
        retryable: Whether the same request may succeed later; an error says itself where that varies.
        billed: Whether Google charges for what failed; an error says itself where that varies.
    """

    code: str
    means: str
    remedy: str
    retryable: Literal["no", "yes", "sometimes"] = "no"
    billed: Literal["no", "yes", "unknown", "varies"] = "no"


@cache
def error_codes() -> Mapping[str, ErrorCode]:
    """Every code, by its name."""
    # Imported here so that importing the package stays cheap.
    import tomllib
    from importlib.resources import files

    text = files("mediagen.report").joinpath("error_codes.toml").read_text(encoding="utf-8")
    return MappingProxyType(
        {code: ErrorCode(code=code, **values) for code, values in tomllib.loads(text)["codes"].items()}
    )
