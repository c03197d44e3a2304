"""The data path of one call as readable functions, in order; start with `generator.py`."""
