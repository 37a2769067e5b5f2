"""Resident memory of this process, and its peak over a piece of work."""

from __future__ import annotations

import sys
from pathlib import Path

_SELF = Path("/proc/self")


def peak_rss_bytes() -> int:
    """The most this process had resident since `forget_peak`, or since it started where that is not kept."""
    told = _status("VmHWM:")
    if told:
        return told
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others KiB


def forget_peak() -> bool:
    """Start the peak again from what is resident now; False where the kernel does not offer that."""
    try:
        (_SELF / "clear_refs").write_text("5")  # man 5 proc: resets VmHWM
    except OSError:
        return False
    return True


def _status(field: str) -> int:
    try:
        text = (_SELF / "status").read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0
