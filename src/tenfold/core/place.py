"""Where a process id means something: the host, this boot of it, and the namespace of its process ids.

Two containers may have one host name and share a store, and still each sees the other's processes as
dead. Knows nothing about leases or stores; they ask before they believe a process id.
"""

from __future__ import annotations

import os
import socket
from hashlib import sha256
from pathlib import Path


def here() -> str:
    """The host name and, where Linux tells, eight digits for boot and namespace: `box~1f3a77c0`."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}~{sha256(f'{boot} {space}'.encode()).hexdigest()[:8]}"
