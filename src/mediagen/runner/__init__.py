"""Steps 5 to 8 of one call: submit, poll, download, store; resumes what another process left open."""
