"""The prompts as data, and what completes their arguments."""
