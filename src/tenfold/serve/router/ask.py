"""What the router is told about a request: enough to place it, nothing of what it says."""

from __future__ import annotations


class RouteAsk:
    """One request in search of a member. Only `model` is needed."""

    __slots__ = (
        "deadline", "model", "prefix", "priority", "side_effects", "slots", "stream", "tenant", "tokens",
    )  # fmt: skip

    def __init__(
        self,
        model: str,
        *,
        tenant: str = "",
        priority: int = 0,
        tokens: int = 0,
        slots: int = 1,
        prefix: tuple[int, ...] = (),
        deadline: float | None = None,
        stream: bool = False,
        side_effects: bool = False,
    ) -> None:
        self.model = model
        self.tenant = tenant
        """Waiting is fair between tenants of one priority."""
        self.priority = priority
        """Higher is served first when requests wait."""
        self.tokens = tokens
        """Estimate of prompt and answer together; 0: unknown."""
        self.slots = slots
        """Generations in this request (`n`), 1 or more; each counts against a member's room."""
        self.prefix = prefix
        """Chained hashes of the prompt's blocks, `prefix.chain`; () unless the policy reads them."""
        self.deadline = deadline
        """On the monotonic clock; nothing is begun and nobody waits beyond it."""
        self.stream = stream
        """How soon a first part may be expected; only hedging asks."""
        self.side_effects = side_effects
        """A second run would do something twice: retried only when surely not begun, never hedged."""
