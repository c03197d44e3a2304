"""What callers are told: structured results, the same in words, and the record beside each file."""
