"""The lines of a batch: reading them, and saying what keeps a batch from beginning.

A line's body stays the bytes it was: what a backend is sent is what the client wrote. Knows no gateway.
Blocking: call it off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec
import orjson

from tenfold.serve.batch.batches import LineFault
from tenfold.serve.refusal import Refusal, loggable

MAX_FAULTS = 100
"""Told of one batch; what is wrong with line 5,000 often is with all others."""
MAX_CUSTOM_ID = 512
CHUNK_LINES = 64
CHUNK_BYTES = 1024 * 1024

Known = Callable[[str], Refusal | None]
"""Model -> why nobody has it: 404, or 503 while somebody may still come. None: somebody has."""


class BatchLine(msgspec.Struct, frozen=True):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


@dataclass(slots=True)
class Checked:
    """What validation found."""

    total: int = 0
    model: str | None = None
    """The one that all lines name; None with several."""
    faults: list[LineFault] = field(default_factory=list)
    not_ready: bool = False
    """A model may still come: ask again."""


def read_line(raw: bytes) -> BatchLine:
    """Raises msgspec.DecodeError or RecursionError."""
    return msgspec.json.decode(raw, type=BatchLine)


def read_chunk(stream: BinaryIO) -> list[bytes]:
    """The next lines that are not blank; none at the end."""
    lines: list[bytes] = []
    num_bytes = 0
    while len(lines) < CHUNK_LINES and num_bytes < CHUNK_BYTES:
        line = stream.readline()
        if not line:
            break
        num_bytes += len(line)
        if not line.isspace():
            lines.append(line)
    return lines


def check_lines(
    path: Path, endpoint: str, known: Known, *, max_lines: int, max_body_bytes: int
) -> Checked:
    """Look at every line; at most `MAX_FAULTS` faults are told. Raises OSError."""
    checked = Checked()
    seen: set[str] = set()
    models: dict[str, Refusal | None] = {}
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, 1):
            if raw.isspace():
                continue
            checked.total += 1
            if checked.total > max_lines:
                checked.faults = [
                    LineFault(
                        "too_many_requests",
                        f"A batch may have {max_lines:,} requests; this file has more.",
                        number,
                    )
                ]
                return checked
            fault = _fault(raw, number, endpoint, seen, models, known, max_body_bytes)
            if fault is not None:
                checked.faults.append(fault)
                if len(checked.faults) == MAX_FAULTS:
                    return checked
    if not checked.total:
        checked.faults.append(LineFault("empty_file", "The input file has no requests."))
    for model, why in models.items():
        checked.not_ready |= why is not None and why.status == 503
        checked.model = model if len(models) == 1 else None
    return checked


def _fault(
    raw: bytes,
    number: int,
    endpoint: str,
    seen: set[str],
    models: dict[str, Refusal | None],
    known: Known,
    max_body_bytes: int,
) -> LineFault | None:
    try:
        line = read_line(raw)
        asked = bytes(line.body)
        body = orjson.loads(asked)
    except msgspec.ValidationError as error:
        return LineFault("invalid_request", f"This line is not a request: {error}.", number)
    except (msgspec.DecodeError, orjson.JSONDecodeError, RecursionError):
        return LineFault("invalid_json_line", "This line is not parseable as valid JSON.", number)
    if not 0 < len(line.custom_id) <= MAX_CUSTOM_ID:
        return LineFault(
            "invalid_custom_id",
            f"`custom_id` has 1 to {MAX_CUSTOM_ID} characters.",
            number,
            "custom_id",
        )
    if line.custom_id in seen:
        return LineFault(
            "duplicate_custom_id",
            f"The custom_id `{loggable(line.custom_id)}` stands in an earlier line too.",
            number,
            "custom_id",
        )
    seen.add(line.custom_id)
    if line.method != "POST":
        return LineFault("invalid_method", "The only `method` is POST.", number, "method")
    if line.url != endpoint:
        return LineFault(
            "mismatched_endpoint", f"`url` is not the batch's endpoint {endpoint}.", number, "url"
        )
    if not isinstance(body, dict):
        return LineFault("invalid_body", "`body` is not a JSON object.", number, "body")
    if len(asked) > max_body_bytes:
        return LineFault(
            "body_too_large", f"`body` is larger than {max_body_bytes:,} bytes.", number, "body"
        )
    model = body.get("model")
    if not isinstance(model, str):
        return LineFault("missing_model", "`body` names no model.", number, "body.model")
    if model not in models:
        models[model] = known(model)
    why = models[model]
    if why is not None and why.status != 503:
        return LineFault("model_not_found", why.message, number, "body.model")
    return None
