"""Which member of the fleet answers, and what happens when it does not."""
