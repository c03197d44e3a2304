"""The job ledger: knows every paid request before it is sent. One SQLite file, or a database of PostgreSQL."""
