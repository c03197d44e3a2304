"""API surfaces of Google's media models: one file each, and the body formats in `wire`."""
