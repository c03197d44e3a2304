"""Scripted faults: what goes wrong, for which request, how often."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mediagen.emulator.answers import ApiError, google_error

ARRIVAL = frozenset({"status", "drop_before", "delay"})
# The request is taken, and its sender hears nothing of it: the connection closes, or stays open for good; or it closes
# and nothing is made either.
ACCEPTED = frozenset({"drop_after_accept", "silent_after_accept", "lost_after_accept"})
PICTURE = ACCEPTED | {"image_finish", "prompt_blocked", "text_only", "bad_base64", "thought_parts", "two_images"}
FILM = ACCEPTED | {
    "video_refused_text_only",
    "video_failed",
    "video_blocked",
    "completed_without_video",
    "stuck",
    "unknown_status",
}
SUBMIT = frozenset({"service_agents"})
TOKEN = frozenset({"token_revoked"})
VEO = ACCEPTED | {
    "rai_filtered",
    "rai_partial",
    "veo_error",
    "service_agents_operation",
    "old_shape",
    "video_failed",
    "video_blocked",
    "completed_without_video",
    "stuck",
}
BATCH = ACCEPTED | {"batch_failed", "batch_expired", "batch_error", "stuck"}
DOWNLOAD = frozenset({"expired", "cut_download", "slow_download", "wrong_length", "redirect"})
STORAGE = frozenset({"forbidden_bucket", "bad_checksum", "cut_upload", "drop_after_stored"})
REGION = frozenset({"region"})
PROXY = frozenset({"no_passthrough", "proxy_ignores_size", "proxy_models"})
KINDS = ARRIVAL | SUBMIT | TOKEN | PICTURE | FILM | VEO | BATCH | DOWNLOAD | STORAGE | REGION | PROXY

PRESETS = frozenset(
    {
        "rate_limit",
        "overloaded",
        "internal",
        "prepay_depleted",
        "quota_zero",
        "location_unsupported",
        "use_case_unsupported",
        "html_502",
        "array_error",
        "empty_200",
    }
)
MAIN_PARAMETERS = {
    "status": "preset",
    "delay": "seconds",
    "image_finish": "reason",
    "prompt_blocked": "reason",
    "video_failed": "code",
    "unknown_status": "status",
    "rai_filtered": "codes",
    "rai_partial": "count",
    "veo_error": "code",
    "batch_failed": "code",
    "batch_error": "code",
    "old_shape": "shape",
    "cut_download": "after_bytes",
    "slow_download": "bytes_per_second",
    "cut_upload": "after_bytes",
    "wrong_length": "how",
    "redirect": "to",
    "expired": "status",
}
OAUTH_PATH = "/token"
OLD_SHAPES = frozenset({"generated_samples", "predictions"})
MAGIC = re.compile(r"\[\[fault:([A-Za-z0-9_]+)(?:=([^\]\s]+))?\]\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that goes wrong, with its parameters."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str, default: str) -> str:
        """Give a parameter as text."""
        return str(self.parameters.get(name, default))

    def number(self, name: str, default: float) -> float:
        """Give a parameter as a number."""
        return float(self.parameters.get(name, default))


@dataclass(kw_only=True, slots=True)
class _Scripted:
    fault: Fault
    method: str
    path_contains: str
    times: int

    def fits(self, kinds: frozenset[str], method: str, path: str) -> bool:
        # getting a token is a means: a fault is meant for the call itself, unless it names the path
        if path == OAUTH_PATH and not self.path_contains:
            return False
        return (
            self.times > 0 and self.fault.kind in kinds and self.method in {"", method} and self.path_contains in path
        )


def _number_parameters_ok(parameters: Mapping[str, Any]) -> bool:
    for name in ("seconds", "after_bytes", "bytes_per_second", "polls", "missing_bytes", "count"):
        if name in parameters:
            try:
                float(parameters[name])
            except (TypeError, ValueError):
                return False
    return True


def parse_fault(script: Any) -> _Scripted:
    """Read one scripted fault from JSON.

    Raises:
        ApiError: The script is not understood.
    """
    if not isinstance(script, dict):
        raise google_error(400, "A fault is a JSON object.")
    rest = dict(script)
    match = rest.pop("match", None) or {}
    times = rest.pop("times", 1)
    kind = rest.pop("fault", None)
    if kind in PRESETS:
        kind, rest = "status", {"preset": kind, **rest}
    if kind not in KINDS:
        raise google_error(400, f"Unknown fault {kind!r}; known: {', '.join(sorted(KINDS | PRESETS))}.")
    if not isinstance(match, dict) or set(match) - {"method", "path_contains"}:
        raise google_error(400, "match takes method and path_contains.")
    if not isinstance(times, int) or not _number_parameters_ok(rest):
        raise google_error(400, "times is a whole number; seconds, bytes and polls are numbers.")
    if kind == "status":
        _check_status(rest)
    if kind == "old_shape" and rest.get("shape") not in OLD_SHAPES:
        raise google_error(400, f"old_shape needs shape: {' or '.join(sorted(OLD_SHAPES))}.")
    if kind in {"veo_error", "batch_failed", "batch_error"} and not str(rest.get("code", 13)).isdigit():
        raise google_error(400, "code is a number of google.rpc.Code.")
    return _Scripted(
        fault=Fault(kind=kind, parameters=rest),
        method=str(match.get("method", "")).upper(),
        path_contains=str(match.get("path_contains", "")),
        times=times,
    )


def _check_status(parameters: Mapping[str, Any]) -> None:
    preset = parameters.get("preset")
    if preset is not None and preset not in PRESETS:
        raise google_error(400, f"Unknown preset {preset!r}; known: {', '.join(sorted(PRESETS))}.")
    status = parameters.get("status")
    if preset is None and not (isinstance(status, int) and 200 <= status <= 599):
        raise google_error(400, "A status fault needs status (200 to 599) or preset.")


def magic_faults(prompt: str) -> list[Fault]:
    """Find the faults that a prompt asks for with ``[[fault:NAME]]`` or ``[[fault:NAME=value]]``.

    NAME is a fault, a preset of the status fault, or a finish reason in capitals. Unknown names are ignored.
    """
    found = []
    for name, value in MAGIC.findall(prompt):
        if name.isupper():
            found.append(Fault(kind="image_finish", parameters={"reason": name}))
            continue
        script = {"fault": name}
        if value:
            script[MAIN_PARAMETERS.get(name, "value")] = value
        try:
            found.append(parse_fault(script).fault)
        except ApiError:
            continue
    return found


class FaultQueue:
    """Scripted faults in the order in which they were added."""

    def __init__(self) -> None:
        self._scripts: list[_Scripted] = []

    def add(self, script: Any) -> None:
        """Queue one scripted fault.

        Raises:
            ApiError: The script is not understood.
        """
        self._scripts.append(parse_fault(script))

    def take(self, kinds: frozenset[str], *, method: str, path: str) -> Fault | None:
        """Use up the first fault of these kinds that matches the request."""
        for script in self._scripts:
            if script.fits(kinds, method, path):
                script.times -= 1
                return script.fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        self._scripts = []

    def as_json(self) -> list[dict[str, Any]]:
        """Give the faults that are still to come."""
        return [
            {
                "match": {"method": script.method, "path_contains": script.path_contains},
                "times": script.times,
                "fault": script.fault.kind,
                **script.fault.parameters,
            }
            for script in self._scripts
            if script.times > 0
        ]
