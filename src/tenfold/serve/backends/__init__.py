"""What generates tokens: the embedded engine, or any OpenAI-compatible server."""
