"""Commands for people: `mediagen …`."""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; the console script `mediagen`."""
    from mediagen.cli.commands import run

    raise SystemExit(run(arguments))
