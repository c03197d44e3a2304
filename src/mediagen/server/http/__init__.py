"""Streamable HTTP: who may connect, how often, and how files come and go."""
