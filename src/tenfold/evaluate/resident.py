"""What a piece of work leaves in this process's memory. Linux with glibc only; elsewhere nothing is said.

Knows nothing about what the work was.
"""

from __future__ import annotations

import ctypes
import gc
import os


def resident_bytes() -> int | None:
    """Memory held now, after giving back what is free; None where the system does not tell.

    Without the giving back, what one load freed would hide what the next one takes.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/statm") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # no glibc, no /proc
        return None
