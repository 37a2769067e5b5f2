"""Read models as plain JSON values, for `--json`, HTTP and GraphQL. Knows dataclasses and manifests only."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from tenfold.core.asset import Manifest


def as_json(value: Any) -> Any:
    """`value` with dataclasses as objects and tuples as lists; a number that JSON cannot say is null."""
    if isinstance(value, Manifest):
        return {
            "kind": value.kind,
            "digest": value.digest,
            "num_bytes": value.num_bytes,
            "files": {name: ref.num_bytes for name, ref in sorted(value.files.items())},
            "meta": as_json(value.meta),
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):  # a NamedTuple is a record, not a list
        return as_json(value._asdict())
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
