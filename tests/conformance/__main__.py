"""Runs the MCP conformance suites and the inspector; one line for each. See scripts/conformance."""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.conformance.inspector import inspect
from tests.conformance.install import InstallationError, RegistryUnreachableError, install
from tests.conformance.servers import ServerNotStartedError, fixture_server, product_server
from tests.conformance.suites import SUITES, Outcome, run_suite

SERVERS = {"fixture": fixture_server, "product": product_server}


def main() -> int:
    """Run everything whose name has the words that were given; the exit code says whether all of it passed."""
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORDS", help="only what has these words in its name")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the results of all scenarios there")
    asked = parser.parse_args()
    try:
        programs = install()
    except RegistryUnreachableError as error:
        print(f"skipped  the npm registry cannot be reached: {error}")
        return 0
    except InstallationError as error:
        print(f"FAILED   {error}")
        return 1
    with tempfile.TemporaryDirectory(prefix="mediagen-conformance-", ignore_cleanup_errors=True) as temporary:
        folder = (asked.keep or Path(temporary)).resolve()
        failed = 0
        for server, start in SERVERS.items():
            try:
                with start(folder / server) as url:
                    outcomes = [
                        (suite.name, partial(run_suite, suite, programs, url, folder))
                        for suite in SUITES
                        if suite.server == server
                    ]
                    for name, run in outcomes:
                        if asked.only in name:
                            failed += not _told(name, run())
                    if server == "product" and asked.only in "inspector":
                        for name, outcome in inspect(programs, url, folder / server):
                            failed += not _told(name, outcome)
            except ServerNotStartedError as error:
                failed += not _told(server, Outcome(is_ok=False, words=str(error)))
    return 1 if failed else 0


def _told(name: str, outcome: Outcome) -> bool:
    print(f"{'ok      ' if outcome.is_ok else 'FAILED  '} {name}: {outcome.words}", flush=True)
    for detail in outcome.details:
        print(f"    {detail}", flush=True)
    return outcome.is_ok


if __name__ == "__main__":
    sys.exit(main())
