"""The seam of the policies: one member of those that could take a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tenfold.serve.router.ask import RouteAsk
from tenfold.serve.router.member import Place


class Policy(Protocol):
    """Chooses by what the members' figures say. It changes no member and waits for nothing; a table of its
    own (prefixes, turns) is bounded."""

    def choose(self, ask: RouteAsk, places: Sequence[Place], now: float) -> Place:
        """One of `places`: never empty, all with room and allowed by their breakers."""
        ...

    def forget(self, name: str) -> None:
        """A member has gone, or another backend takes over its name."""
        ...
