"""Prompts as chains of hashed blocks, and a bounded table of where each block was sent.

Only routing depends on it: a collision costs a worse choice, never a wrong answer. So a block's name is a
CRC-32 of everything up to its end, with its number; it is the same in every process.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import orjson

BLOCK_BYTES = 512
MAX_BLOCKS = 64
"""A prompt's first 32 kB tell conversations apart well enough."""


def conversation(plain: dict[str, Any]) -> bytes:
    """The part of a decoded request that a model reads, so that a longer conversation begins with a shorter
    one: tools, system prompt and instructions, then messages, input or prompt, whichever there is.

    Cut off after `MAX_BLOCKS` blocks, so that a long history costs no more than its beginning.
    """
    parts = [orjson.dumps([plain.get(name) for name in ("tools", "system", "instructions")])]
    said = plain.get("messages") or plain.get("input") or plain.get("prompt")
    num_bytes = len(parts[0])
    for turn in said if isinstance(said, list) else (said,):
        if num_bytes >= MAX_BLOCKS * BLOCK_BYTES:
            break
        parts.append(orjson.dumps(turn))
        num_bytes += len(parts[-1])
    return b"".join(parts)


def chain(model: str, prompt: bytes) -> tuple[int, ...]:
    """The names of a prompt's whole blocks, first to last; equal up to where two prompts differ.

    About 0.2 us for each block.
    """
    crc = crc32(model.encode())
    view = memoryview(prompt)
    names = []
    for number in range(min(MAX_BLOCKS, len(prompt) // BLOCK_BYTES)):
        at = number * BLOCK_BYTES
        crc = crc32(view[at : at + BLOCK_BYTES], crc)
        names.append(number << 32 | crc)
    return tuple(names)


class Known:
    """How much of one prompt is known where."""

    __slots__ = ("_bits", "_masks", "length")

    def __init__(self, masks: list[int], bits: dict[str, int]) -> None:
        self._masks = masks
        self._bits = bits
        self.length = len(masks)
        """Blocks known anywhere."""

    def depth(self, name: str) -> int:
        """Blocks known at this member, from the first on."""
        bit = self._bits.get(name, 0)
        depth = 0
        for mask in self._masks:
            if not mask & bit:
                break
            depth += 1
        return depth


class PrefixTable:
    """Block -> members it went to. Two generations of half the entries each: when the young one is full or
    `ttl_s` old, the old one is dropped and the young one becomes old. So a block is forgotten between one
    and two `ttl_s` after its last use, and there are never more than `max_entries`."""

    def __init__(self, max_entries: int, ttl_s: float) -> None:
        self._half = max(1, max_entries // 2)
        self._ttl_s = ttl_s
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._turns_at: float | None = None
        self._bits: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def known(self, prefix: tuple[int, ...], now: float) -> Known:
        self._age(now)
        young, old = self._young, self._old
        masks = []
        for block in prefix:
            mask = young.get(block, 0) | old.get(block, 0)
            if not mask:
                break
            masks.append(mask)
        return Known(masks, self._bits)

    def record(self, prefix: tuple[int, ...], name: str, now: float) -> None:
        """The blocks went to this member."""
        self._age(now)
        bit = self._bits.get(name) or self._new_bit(name)
        for block in prefix:
            young = self._young
            mask = young.get(block)
            if mask is None:
                if len(young) >= self._half:
                    self._turn(now)
                    young = self._young
                mask = self._old.get(block, 0)
            young[block] = mask | bit

    def forget(self, name: str) -> None:
        """A member has gone with everything it held. Takes time in proportion to the table."""
        bit = self._bits.pop(name, 0)
        if bit:
            for table in (self._young, self._old):
                for block, mask in list(table.items()):
                    if mask == bit:
                        del table[block]
                    elif mask & bit:
                        table[block] = mask & ~bit

    def _new_bit(self, name: str) -> int:
        taken = sum(self._bits.values())
        bit = ~taken & (taken + 1)  # the lowest that is free
        self._bits[name] = bit
        return bit

    def _age(self, now: float) -> None:
        if self._turns_at is None:
            self._turns_at = now + self._ttl_s
        elif now >= self._turns_at:
            if now >= self._turns_at + self._ttl_s:  # both are over
                self._young = {}
            self._turn(now)

    def _turn(self, now: float) -> None:
        self._old = self._young
        self._young = {}
        self._turns_at = now + self._ttl_s
