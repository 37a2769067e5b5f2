"""How a member is chosen: one policy per file."""
