"""The job ledger: one SQLite file that knows every paid request before it is sent."""
