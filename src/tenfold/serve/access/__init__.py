"""Who may ask, how often, and for how much: virtual keys, rate limits, budgets."""
