"""Cells that are one of a few words: missing values and truth values."""

from __future__ import annotations

MISSING = frozenset(
    ["", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "-", "--", "---", "–", "—", "?", "??", "#n/a",
     "#value!", "#ref!", "#div/0!", "missing", "unknown", "unbekannt", "k.a.", "k. a.", "keine angabe",
     "not available", "not applicable", "no data", ".", "\\n", "<na>", "nd", "s/d"]
)  # fmt: skip
"""Compared without case and outer spaces. `unknown` may be an answer: columns say which tokens they had."""
TRUE = frozenset(
    ["true", "t", "yes", "y", "1", "on", "ja", "j", "wahr", "oui", "vrai", "sí", "si", "x", "✓"]
)
FALSE = frozenset(["false", "f", "no", "n", "0", "off", "nein", "falsch", "non", "faux", "✗"])


def is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def truth(text: str) -> bool | None:
    """None: neither."""
    plain = text.strip().lower()
    return True if plain in TRUE else False if plain in FALSE else None
