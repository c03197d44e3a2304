"""The tools as data, one module per area."""
