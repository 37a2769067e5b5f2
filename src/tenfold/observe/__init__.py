"""Watching work: energy, money, the machine. Standard library only, so that every process can afford it."""

from __future__ import annotations

STEPS: dict[str, str] = {}
