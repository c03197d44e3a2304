"""Pictures and films on Google's media models, for AI assistants and people."""

__version__ = "0.1.0"
