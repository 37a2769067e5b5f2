"""What an erasure does to the facts: outputs exchanged for those without a person, texts blanked.

The exchange is one transaction: results, what was made from them, aliases and the audit change together or
not at all. Lineage stays whole: what was made from an old digest is recorded as made from the new one, with
the old one beside it (`environment.erased_inputs`). The audit itself is never rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.asset import Manifest
from tenfold.core.facts import AliasMove, AuditEntry
from tenfold.core.keys import canonical_json
from tenfold.ledger.sql import SqlLedger, append_audit, insert
from tenfold.ledger.tables import TABLES, codec

_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One output that held the person."""

    asset: str
    old: str
    new: Manifest | None
    """None: it is removed, and has to be made again."""
    blobs: tuple[str, ...] = ()
    """SHA-256 of what a removed one consisted of, so that whoever goes on after a crash finds it."""


def exchange(
    ledger: SqlLedger,
    exchanges: Sequence[Exchange],
    *,
    partials: Sequence[str],
    erasure: str,
    actor: str,
    at_s: float,
) -> list[str]:
    """Carry them out, drop the checkpoints named in `partials`, and audit it. Returns the aliases moved."""
    target = {e.old: e.new for e in exchanges}
    moved: list[str] = []
    with ledger.transaction() as cursor:
        for old, new in target.items():
            _exchange_output(cursor, old, new, erasure)
        _exchange_inputs(cursor, target, erasure)
        for old, new in target.items():
            for alias, asset, key in _pointing_at(cursor, old):
                move = AliasMove(
                    alias=alias, digest=new.digest if new else None, previous=old, asset=asset, key=key,
                    actor=actor, reason=f"erasure {erasure}", at_s=at_s,
                )  # fmt: skip
                insert(cursor, move)
                detail: dict[str, Any] = {"from": old, "to": move.digest, "reason": move.reason}
                append_audit(cursor, _entry(at_s, actor, "alias.move", alias, detail))
                moved.append(alias)
        for key in partials:
            cursor.execute("DELETE FROM partials WHERE key = ?", (key,))
        if exchanges or partials:
            pairs = [[e.asset, e.old, e.new.digest if e.new else None] for e in exchanges]
            detail = {
                "results": pairs,
                "checkpoints": list(partials),
                "aliases": moved,
                "blobs": sorted({b for e in exchanges for b in e.blobs}),
            }
            append_audit(cursor, _entry(at_s, actor, "erase.exchange", erasure, detail))
    return moved


def blank(ledger: SqlLedger, clean: Callable[[bytes], tuple[bytes, int]]) -> dict[str, int]:
    """Put every text of every table through `clean`, which says how much it exchanged: table -> rows changed.

    Outputs are `exchange`'s business. The audit is only searched (`audit` -> rows that stay as they are): its
    hash chain would break.
    """
    changed: dict[str, int] = {}
    for kind, table in TABLES.items():
        coder = codec(kind)
        names = [n for n in coder.columns if _holds_text(coder.kinds[n]) and n != "output"]
        identity = list(table.identity or ("seq",))
        with ledger.transaction(write=False) as cursor:
            cursor.execute(f"SELECT {', '.join(identity + names)} FROM {table.name}")
            rows = cursor.fetchall()
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            whole = "\0".join(str(v) for row in some for v in row[len(identity) :] if v is not None)
            if not clean(whole.encode())[1]:
                continue
            for row in some:
                fresh = _cleaned(dict(zip(names, row[len(identity) :], strict=True)), clean)
                if not fresh:
                    continue
                changed[table.name] = changed.get(table.name, 0) + 1
                if table.name != "audit":
                    _update(ledger, table.name, dict(zip(identity, row, strict=False)), fresh)
    return changed


def _exchange_output(cursor: Any, old: str, new: Manifest | None, erasure: str) -> None:
    cursor.execute("SELECT key, environment FROM step_results WHERE digest = ?", (old,))
    rows = cursor.fetchall()
    if new is None:
        cursor.execute("DELETE FROM step_results WHERE digest = ?", (old,))
        return
    for key, environment in rows:
        cursor.execute("SELECT 1 FROM step_results WHERE key = ? AND digest = ?", (key, new.digest))
        if cursor.fetchone():  # the same work gave the clean bytes once, too
            cursor.execute("DELETE FROM step_results WHERE key = ? AND digest = ?", (key, old))
            continue
        note = {**json.loads(environment), "erased": {"erasure": erasure, "digest": old}}
        cursor.execute(
            "UPDATE step_results SET output = ?, digest = ?, environment = ? WHERE key = ? AND digest = ?",
            (new.to_bytes().decode(), new.digest, canonical_json(note).decode(), key, old),
        )
    cursor.execute("UPDATE run_steps SET digest = ? WHERE digest = ?", (new.digest, old))


def _exchange_inputs(cursor: Any, target: Mapping[str, Manifest | None], erasure: str) -> None:
    cursor.execute("SELECT key, digest, inputs, environment FROM step_results")
    for key, digest, inputs, environment in cursor.fetchall():
        gone = [pair for pair in json.loads(inputs) if pair[1] in target]
        if not gone:
            continue
        fresh = []
        for asset, old in json.loads(inputs):
            new = target.get(old)
            fresh.append([asset, new.digest if new is not None else old])
        note = json.loads(environment)
        note["erased_inputs"] = [
            *note.get("erased_inputs", []),
            *([*pair, erasure] for pair in gone),
        ]
        cursor.execute(
            "UPDATE step_results SET inputs = ?, environment = ? WHERE key = ? AND digest = ?",
            (canonical_json(fresh).decode(), canonical_json(note).decode(), key, digest),
        )


def _pointing_at(cursor: Any, digest: str) -> list[tuple[str, str, str]]:
    """(alias, asset, key) of those whose newest move is to `digest`."""
    cursor.execute(
        "SELECT alias, asset, key FROM alias_moves m WHERE digest = ? AND seq ="
        " (SELECT MAX(seq) FROM alias_moves WHERE alias = m.alias)",
        (digest,),
    )
    return [tuple(row) for row in cursor.fetchall()]


def _entry(at_s: float, actor: str, action: str, subject: str, detail: Any) -> AuditEntry:
    return AuditEntry(at_s=at_s, actor=actor, action=action, subject=subject, detail=detail)


def _holds_text(kinds: frozenset[type]) -> bool:
    """A text column, or JSON, which has no plain kinds."""
    return not kinds or str in kinds


def _cleaned(row: Mapping[str, Any], clean: Callable[[bytes], tuple[bytes, int]]) -> dict[str, str]:
    fresh = {}
    for name, value in row.items():
        if isinstance(value, str):
            made, count = clean(value.encode())
            if count:
                fresh[name] = made.decode(errors="replace")
    return fresh


def _update(
    ledger: SqlLedger, table: str, identity: Mapping[str, Any], fresh: Mapping[str, str]
) -> None:
    sets = ", ".join(f"{name} = ?" for name in fresh)
    where = " AND ".join(f"{name} = ?" for name in identity)
    with ledger.transaction() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {sets} WHERE {where}", (*fresh.values(), *identity.values())
        )
