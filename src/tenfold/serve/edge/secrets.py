"""What an edge and its origin share: keys that sign slot tokens, and the password of the purge.

Kept in one JSON file that only its owner may read. Never in a log, a message or a command line.
"""

from __future__ import annotations

import json
import os
import re
import secrets as randomness
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.errors import ConfigError

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class EdgeSecrets:
    """`slots`: one or two keys, 64 hex digits each; the first signs, all verify (so that they can be
    rotated). `purge`: 64 hex digits."""

    slots: tuple[str, ...] = field(repr=False)
    purge: str = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.slots) <= 2:
            raise ConfigError("an edge has one or two slot keys", seen=len(self.slots))
        if not all(_HEX.fullmatch(one) for one in (*self.slots, self.purge)):
            raise ConfigError("an edge's secret is not 64 hex digits", hint="openssl rand -hex 32")

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        return tuple(bytes.fromhex(one) for one in self.slots)

    def to_json(self) -> str:
        return json.dumps({"slots": list(self.slots), "purge": self.purge}) + "\n"


def new_secrets() -> EdgeSecrets:
    return EdgeSecrets((randomness.token_hex(32),), randomness.token_hex(32))


def load_secrets(path: Path) -> EdgeSecrets:
    """Raises ConfigError when the file is not there or not what `write_secrets` writes."""
    try:
        plain = json.loads(path.read_bytes())
        return EdgeSecrets(tuple(plain["slots"]), plain["purge"])
    except OSError as error:
        raise ConfigError(
            f"cannot read the edge's secrets: {error.strerror}", where=str(path)
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            'an edge\'s secrets look like {"slots": [HEX], "purge": HEX}', where=str(path)
        ) from None


def write_secrets(path: Path, secrets: EdgeSecrets) -> None:
    """For its owner's eyes only from the first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(secrets.to_json())
