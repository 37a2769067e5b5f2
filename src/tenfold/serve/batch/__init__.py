"""Files and batches: OpenAI's API for work that may take a day."""
