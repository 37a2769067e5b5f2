"""A shard: the tokens of one segment's records of one split, and what is known of them. Reading is `tokens`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Its files are named by their content, so equal shards of two assets are stored once."""

    split: str
    """`train` or `heldout`."""
    num_tokens: int
    """With end tokens."""
    num_documents: int
    num_bytes: int
    """UTF-8 bytes of the text."""
    ids_sha256: str
    offsets_sha256: str

    @property
    def ids_file(self) -> str:
        return f"{self.split}/{self.ids_sha256}.ids"

    @property
    def offsets_file(self) -> str:
        return f"{self.split}/{self.offsets_sha256}.offsets"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Shard:
        return cls(**plain)
