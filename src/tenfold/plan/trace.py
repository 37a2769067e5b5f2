"""A trace: requests with their times, as JSON Lines. Read, written and checked here; sent elsewhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tenfold.errors import InputError

SCHEMA = {
    "at_s": "float",
    "prompt": "str",
    "max_tokens": "int",
    "stream": "bool",
    "intent": "str",
}
"""The columns of a trace as a Table."""
_TYPES: Mapping[str, Any] = {"prompt": str, "max_tokens": int, "stream": bool, "intent": str}


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One request of a trace."""

    at_s: float
    """Seconds after the trace began. A closed loop keeps the order and ignores the times."""
    prompt: str
    max_tokens: int = 64
    stream: bool = False
    intent: str = ""
    """What is being asked, however it is worded; empty when unknown."""

    def to_row(self) -> dict[str, Any]:
        return asdict(self)


def read_trace(path: Path | str) -> list[TraceRequest]:
    """The requests of a JSONL file, by time. Raises InputError with the line of the first fault."""
    source = Path(path)
    try:
        # Not splitlines: JSON strings may hold U+2028 and its like unescaped.
        lines = source.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read the trace: {error}",
            where=str(source),
            hint="a trace is UTF-8 JSON Lines with at least a prompt per line",
        ) from None
    return parse_trace(lines, where=source.name)


def parse_trace(lines: Iterable[str], where: str = "trace") -> list[TraceRequest]:
    """As `read_trace`, from lines. Blank lines are skipped; `prompt` is the one required field."""
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"not JSON: {error}", where=f"{where}:{number}") from None
            found.append(from_row(row, f"{where}:{number}"))
    if not found:
        raise InputError("the trace holds no requests", where=where)
    return sorted(found, key=lambda request: request.at_s)


def from_row(row: Any, where: str) -> TraceRequest:
    """A checked request; columns a trace does not know are ignored, so that logs can be replayed as is."""
    if not isinstance(row, Mapping) or "prompt" not in row:
        raise InputError('a request is an object with a "prompt"', where=where, seen=row)
    at_s = row.get("at_s", 0.0)
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not math.isfinite(at_s):
        raise InputError('"at_s" must be a number of seconds', where=where, seen=at_s)
    values: dict[str, Any] = {"at_s": float(at_s)}
    for name, kind in _TYPES.items():
        if name not in row:
            continue
        value = row[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InputError(f'"{name}" must be {SCHEMA[name]}', where=where, seen=value)
        values[name] = value
    if values.get("max_tokens", 1) < 1:
        raise InputError('"max_tokens" must be 1 or more', where=where, seen=values["max_tokens"])
    return TraceRequest(**values)


def write_trace(path: Path | str, requests: Iterable[TraceRequest]) -> int:
    """One line per request; how many there were."""
    num_requests = 0
    with Path(path).open("w", encoding="utf-8", newline="\n") as stream:
        for line in trace_lines(requests):
            stream.write(line)
            num_requests += 1
    return num_requests


def trace_lines(requests: Iterable[TraceRequest]) -> Iterator[str]:
    for request in requests:
        yield json.dumps(request.to_row(), ensure_ascii=False, sort_keys=True) + "\n"
