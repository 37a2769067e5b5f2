"""Which store keeps the budgets: Redis where several hosts share one, a file of this host, or memory."""

from __future__ import annotations

from pathlib import Path

from tenfold.serve.access.budgets.base import BudgetStore


def budgets_file(folder: Path) -> Path:
    """In a gateway's state folder."""
    return folder / "budgets.lmdb"


def open_budgets(redis_url: str | None, folder: Path | None) -> BudgetStore:
    """`folder`: where a gateway keeps its state; without one and without Redis, budgets are this process's
    own. Raises StoreError, ConfigError, MissingExtra."""
    if redis_url is not None:
        from tenfold.serve.access.budgets.redis import RedisBudgets

        return RedisBudgets(redis_url)
    if folder is None:
        from tenfold.serve.access.budgets.memory import MemoryBudgets

        return MemoryBudgets()
    from tenfold.serve.access.budgets.embedded import EmbeddedBudgets

    return EmbeddedBudgets(budgets_file(folder))
