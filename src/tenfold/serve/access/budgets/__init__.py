"""Budgets: reserve before, settle after; exact over all processes, and with Redis over all hosts."""
