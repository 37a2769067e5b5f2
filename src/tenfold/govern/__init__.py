"""Governing: what a model does to people, measured with intervals and with what the measure cannot see."""

from __future__ import annotations

STEPS: dict[str, str] = {
    "govern.bias": "tenfold.govern.bias:bias",
    "govern.leaks": "tenfold.govern.leaks:leaks",
}
