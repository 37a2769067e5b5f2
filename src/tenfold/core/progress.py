"""What a run tells whoever is watching it live. Values only; rendering is the watcher's business."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One sign of life of one asset within a run."""

    asset: str
    status: str
    """As in RunStep: `waiting`, `running`, `ran`, `skipped`, `failed`, `blocked`."""
    done: float = 0.0
    """In [0, 1]."""
    note: str = ""
    """What the step says about itself: `loss 3.21, 18k tokens/s`."""
    reason: str = ""
    at_s: float = 0.0
