"""Many facts of one kind as columns of values: checked, completed and made storable, column by column.

A column costs a few calls however long it is, where a fact costs a few calls per field. It knows no
database: what a dialect wants of a value (no booleans, say) is the dialect's business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from tenfold.errors import FactRefused, UsageError
from tenfold.ledger.tables import Convert, codec, storable

Column = Sequence[Any]


def encoded_columns(kind: type, given: Mapping[str, Column]) -> list[Column]:
    """All columns of a kind, in the codec's order. A field that is not given has its default.

    Raises UsageError for a field that the kind has not, columns of unequal length, or one without a
    default that is missing; FactRefused for text that is not text.
    """
    coder = codec(kind)
    strangers = given.keys() - set(coder.columns)
    lengths = {len(column) for column in given.values()}
    if strangers or len(lengths) > 1:
        raise UsageError(
            f"columns of {kind.__name__} must be its fields, all of one length",
            seen=sorted(strangers) or sorted(lengths),
        )
    length = lengths.pop() if lengths else 0
    encoded: list[Column] = []
    for name, write in coder.writers:
        column = given.get(name)
        if column is None:
            column = [_default(kind, name)] * length
        kinds = coder.kinds[name]
        if str in kinds:
            encoded.append(_texts(column, nullable=len(kinds) > 1))
        else:
            encoded.append(column if write is None else _written(column, write))
    return encoded


def _written(column: Column, write: Convert) -> Column:
    return [write(value) for value in column]


def _texts(column: Column, *, nullable: bool) -> Column:
    """The column itself when all of it can be stored as it is, which one look at the whole tells."""
    try:
        joined = "".join([text for text in column if text is not None] if nullable else column)
    except TypeError:
        raise FactRefused("a text column holds something else") from None
    if "\0" not in joined:
        try:
            joined.encode()
        except UnicodeEncodeError:
            pass
        else:
            return column
    return [None if text is None else storable(text) for text in column]


@cache
def _default(kind: type, name: str) -> Any:
    field = next(field for field in dataclasses.fields(kind) if field.name == name)
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise UsageError(f"{kind.__name__} has no default for {name!r}: its column is missing")
