"""The emulator with a window of any length: ``python -m benchmarks.windowed_emulator [--window-seconds N] …``."""

import argparse
import sys

from mediagen.emulator.serve import serve
from mediagen.emulator.settings import EmulatorSettings


def main() -> None:
    """Run the emulator; prints its address."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--video-seconds", type=float, default=2.0)
    parser.add_argument("--image-seconds", type=float, default=0.0)
    parser.add_argument("--calls", type=int)
    parser.add_argument("--window-seconds", type=float, default=60.0)
    parser.add_argument("--ffmpeg")
    given = parser.parse_args()
    settings = EmulatorSettings(
        video_seconds=given.video_seconds,
        image_seconds=given.image_seconds,
        calls_per_window=given.calls,
        window_seconds=given.window_seconds,
        ffmpeg=given.ffmpeg,
    )

    def announce(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()

    serve(settings, announce)


if __name__ == "__main__":
    main()
