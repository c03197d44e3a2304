"""Body formats of Google's media APIs: encode to JSON values, decode from bytes. Pure, no HTTP."""
