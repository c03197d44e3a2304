"""Composition root: settings → parts → what the server and the command line call; the only constructor of parts."""
