"""Where blobs live: bytes by content, on a local disk or in memory."""
