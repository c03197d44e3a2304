"""How much is fuzzed: the same few examples each time, or with MEDIAGEN_FUZZ_EXAMPLES=5000 as many new ones."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = os.environ.get("MEDIAGEN_FUZZ_EXAMPLES")

settings.register_profile(
    "mediagen",
    derandomize=not EXAMPLES,
    max_examples=int(EXAMPLES or 25),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mediagen")
