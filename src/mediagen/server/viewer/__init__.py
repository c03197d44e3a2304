"""The viewer that hosts with MCP Apps show beside a result."""
