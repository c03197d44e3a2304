"""Free edits of pictures and videos on this machine, as jobs of the ledger."""
