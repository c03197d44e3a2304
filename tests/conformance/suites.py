"""Runs the conformance suite against an address, and says in one line how that went."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.install import Programs

HERE = Path(__file__).parent
SUITE_SECONDS = 600
TOTAL = re.compile(r"^Total: (\d+) passed, (\d+) failed", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """One run of the suite.

    Attributes:
        server: `fixture` answers every scenario; `product` is what people run, without fixture tools.
        package: npm package of the suite.
        spec_version: Revision of the protocol that is spoken; None leaves the choice to each scenario.
        expected: File of the scenarios that cannot pass, each with its reason.
        scenarios: Only these; all when empty.
    """

    server: str
    package: str
    spec_version: str | None = None
    expected: str | None = None
    scenarios: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Server, version of the suite and revision."""
        which = f"{len(self.scenarios)} scenarios" if self.scenarios else "all scenarios"
        return " ".join(part for part in (self.server, self.package, self.spec_version, which) if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run went."""

    is_ok: bool
    words: str
    details: tuple[str, ...] = ()


SUITES = (
    Suite(server="fixture", package="conformance-0.1"),
    Suite(server="fixture", package="conformance-0.2", spec_version="2025-11-25"),
    Suite(server="fixture", package="conformance-0.2", spec_version="2026-07-28"),
    Suite(server="fixture", package="conformance-0.2"),
    Suite(server="product", package="conformance-0.1", expected="product.2025-11-25.yml"),
    Suite(server="product", package="conformance-0.2", spec_version="2025-11-25", expected="product.2025-11-25.yml"),
    Suite(server="product", package="conformance-0.2", spec_version="2026-07-28", expected="product.2026-07-28.yml"),
)


def run_suite(suite: Suite, programs: Programs, url: str, folder: Path) -> Outcome:
    """Run it; the results of each scenario go below the folder."""
    results = folder / suite.name.replace(" ", "_")
    command = [*programs.command(suite.package), "server", "--url", url, "-o", str(results), "--suite", "all"]
    command += ["--spec-version", suite.spec_version] if suite.spec_version else []
    command += ["--expected-failures", str(HERE / suite.expected)] if suite.expected else []
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SUITE_SECONDS, cwd=folder
    )
    said = done.stdout + done.stderr
    total = TOTAL.search(said)
    if total is None:
        return Outcome(is_ok=False, words="the suite did not finish", details=(said[-2000:],))
    expected = len(_expected(suite))
    words = f"{total[1]} checks passed, {total[2]} failed, {expected} scenarios expected to fail"
    if done.returncode == 0:
        return Outcome(is_ok=True, words=words)
    return Outcome(is_ok=False, words=words, details=(*_failures(results, suite), said[-1500:]))


def _expected(suite: Suite) -> list[str]:
    if suite.expected is None:
        return []
    lines = (HERE / suite.expected).read_text(encoding="utf-8").splitlines()
    return [line.strip()[2:].rpartition(":")[2] for line in lines if line.strip().startswith("- ")]


def _failures(results: Path, suite: Suite) -> Iterator[str]:
    known = _expected(suite)
    for file in sorted(results.glob("*/checks.json")):
        for check in json.loads(file.read_text(encoding="utf-8")):
            is_known = check["id"] in known or any(f"server-{name}-20" in file.parent.name for name in known)
            if check["status"] == "FAILURE" and not is_known:
                yield f"{file.parent.name}: {check['id']}: {check.get('errorMessage', '')}"
