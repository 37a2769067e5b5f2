"""Which store keeps the budgets: Redis where several hosts share one, else a file of this host."""

from __future__ import annotations

from pathlib import Path

from tenfold.serve.access.budgets.base import BudgetStore


def open_budgets(redis_url: str | None, folder: Path) -> BudgetStore:
    """`folder`: where a gateway keeps its state. Raises StoreError, ConfigError, MissingExtra."""
    if redis_url is not None:
        from tenfold.serve.access.budgets.redis import RedisBudgets

        return RedisBudgets(redis_url)
    from tenfold.serve.access.budgets.embedded import EmbeddedBudgets

    return EmbeddedBudgets(folder / "budgets.lmdb")
