"""The labelling pages: all review queues, and one queue at which records are labelled.

Only there where the console was given a `Labelling`. What the page sends is `console.deeds`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.console.views.view import View
from tenfold.factory.labelling import LEASE_S, Labelling
from tenfold.queries import Queries

SECTION = ("label", "Label", "label")


def label_views(labelling: Labelling) -> tuple[View, ...]:
    def all_queues(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
        return {"queues": labelling.queues()}

    def one_queue(queries: Queries, prefix: str, params: Mapping[str, str]) -> dict[str, Any]:
        name = params["queue"]
        return {
            "name": name,
            "queue": labelling.queue(name),
            "progress": labelling.progress(name),
            "hold_s": LEASE_S / 4,
        }

    return (
        View(name="queues", section="label", path="/label", load=all_queues, regions=("list",)),
        View(
            name="label",
            section="label",
            path="/label/{queue}",
            load=one_queue,
            regions=("progress",),
        ),
    )


def keys_of(choices: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The keys of each choice: its digit, for the first ten, and a letter of its own, never `u` (undo).

    >>> keys_of(("spam", "salad", "up"))
    [('1', 's'), ('2', 'a'), ('3', 'p')]
    """
    taken = {"u"}
    found = []
    for number, choice in enumerate(choices):
        digit = ("1234567890"[number],) if number < 10 else ()
        letter = next((c for c in choice.lower() if "a" <= c <= "z" and c not in taken), None)
        if letter is not None:
            taken.add(letter)
        found.append((*digit, letter) if letter else digit)
    return found
