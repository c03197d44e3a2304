"""Files, jobs, models, prices and errors as MCP resources, and the notices of their changes."""
