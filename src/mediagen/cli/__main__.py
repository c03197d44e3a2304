"""`python -m mediagen.cli`."""

from mediagen.cli import main

main()
