"""Serve over stdio with ``python -m mediagen.server``, for hosts that start a file and not a command."""

from mediagen.server import main

main()
