"""The emulator as a program: python -m mediagen.emulator."""

import argparse
import ipaddress
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mediagen.emulator.serve import serve
from mediagen.emulator.settings import EmulatorSettings
from mediagen.errors import MediaGenError


def main(argv: Sequence[str]) -> int:
    """Run the emulator with command line arguments and give the exit code.

    Prints one line on stdout, the base URL, as soon as requests are taken.
    """
    arguments = _parser().parse_args(argv)
    if not arguments.allow_remote and not is_loopback(arguments.host):
        sys.stderr.write(f"{arguments.host} is not a loopback address; --allow-remote lets others connect.\n")
        return 2
    settings = EmulatorSettings(
        host=arguments.host,
        port=arguments.port,
        video_seconds=arguments.video_seconds,
        image_seconds=arguments.image_seconds,
        batch_seconds=arguments.batch_seconds,
        calls_per_window=arguments.calls_per_minute,
        window_seconds=arguments.minute_seconds,
        ffmpeg=arguments.ffmpeg,
        extend_returns=arguments.extend_returns,
        region_refuses_uploaded_video=arguments.region_refuses_uploaded_video,
        signed=arguments.signed,
        idle_exit_seconds=arguments.idle_exit,
        token_seconds=arguments.token_seconds,
        state_dir=arguments.state_dir,
    )

    def announce(url: str) -> None:
        if arguments.url_file is not None:
            write_url_file(arguments.url_file, url)
        if arguments.print_url:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()

    try:
        serve(settings, announce)
    except MediaGenError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def write_url_file(path: Path, url: str) -> None:
    """Write URL and process id as JSON, so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    unfinished.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mediagen emulator", description="A local stand-in for Google's Gemini API; needs no key, costs nothing."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 picks a free one (default: %(default)s)")
    _add_waits(parser)
    _add_quota(parser)
    parser.add_argument("--ffmpeg", help="path of the ffmpeg executable (default: found by itself)")
    parser.add_argument(
        "--extend-returns", choices=["whole", "new_part"], default="whole", help="what an extension answers with"
    )
    parser.add_argument(
        "--region-refuses-uploaded-video",
        action="store_true",
        help="edit and extend no uploaded films, as in Europe",
    )
    parser.add_argument("--signed", action="store_true", help="put a C2PA manifest into pictures and films")
    parser.add_argument("--idle-exit", type=float, metavar="SECONDS", help="end this long after the last request")
    parser.add_argument(
        "--token-seconds", type=float, default=3600.0, help="how long an OAuth token is good for (default: %(default)s)"
    )
    parser.add_argument("--state-dir", type=Path, help="where files are kept (default: a temporary folder)")
    parser.add_argument("--url-file", type=Path, help="also write URL and process id there, as JSON")
    parser.add_argument(
        "--print-url", action=argparse.BooleanOptionalAction, default=True, help="print the URL when ready"
    )
    parser.add_argument("--allow-remote", action="store_true", help="allow an address that others can reach")
    return parser


def _add_waits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--video-seconds", type=float, default=2.0, help="how long a clip renders (default: %(default)s)"
    )
    parser.add_argument(
        "--image-seconds", type=float, default=0.0, help="how long a picture takes (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-seconds",
        type=float,
        default=0.2,
        help="how long a batch waits, and again how long it is worked at (default: %(default)s)",
    )


def _add_quota(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calls-per-minute",
        type=int,
        metavar="NUMBER",
        help="paid calls of a model that are taken in a minute; others are refused with 429 (default: any number)",
    )
    parser.add_argument(
        "--minute-seconds",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long that minute lasts, for who has less time (default: %(default)s)",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
