"""Texts from templates: sentences with slots, filled from lists, from the record's text and from its meta.

    FillTemplates(templates=("Where is {city}? {text}",), slots={"city": ("Ulm", "Kiel")})

`{text}` is the record's own text, `{meta.title}` a field of its meta, every other slot a list. Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tenfold.data import record
from tenfold.data.augment.offspring import texts
from tenfold.errors import ConfigError

_SLOT = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.]*)\}|[{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FillTemplates:
    """Each child is one template, drawn at random, with its slots filled at random."""

    name: ClassVar[str] = "text.templates"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.META)
    writes: ClassVar[tuple[str, ...]] = ()

    templates: tuple[str, ...]
    """Texts with `{slots}`; a brace is written twice."""
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Slot -> what may stand there."""
    copies: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.templates:
            raise ConfigError("there must be a template")
        for template in self.templates:
            for found in _SLOT.finditer(template):
                slot = found.group(1)
                if slot is None and found.group() in "{}":
                    raise ConfigError(
                        "a brace without its partner",
                        where=template,
                        hint="write {{ or }} for a brace",
                    )
                if (
                    slot
                    and slot != "text"
                    and not slot.startswith("meta.")
                    and not self.slots.get(slot)
                ):
                    raise ConfigError(f"nothing fills the slot {slot!r}", where=template)

    def text(
        self, text: str, meta: Mapping[str, object], random: np.random.Generator
    ) -> str | None:
        """One filled template; None where the record's meta lacks a field that it asks for."""
        template = self.templates[int(random.integers(len(self.templates)))]
        filled = {name: str(random.choice(self.slots[name])) for name in sorted(self.slots)}
        missing = False

        def fill(found: re.Match[str]) -> str:
            nonlocal missing
            slot = found.group(1)
            if slot is None:
                return found.group()[0]
            if slot == "text":
                return text
            if slot.startswith("meta."):
                value = meta.get(slot.removeprefix("meta."))
                missing |= value is None
                return str(value)
            return filled[slot]

        made = _SLOT.sub(fill, template)
        return None if missing else made

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The children alone; put them behind their parents."""
        return texts(batch, self)
