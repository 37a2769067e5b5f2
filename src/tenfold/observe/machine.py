"""What this machine is, for reports and benches: a figure without its machine says little."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tenfold.observe.energy import usable_cores


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    num_cores: int
    """Hardware threads this process may use."""
    memory_bytes: int
    """Installed, or the limit of this container where there is one; 0 where it is not told."""
    os: str
    python: str

    def __str__(self) -> str:
        memory = f", {self.memory_bytes / 2**30:.0f} GiB" if self.memory_bytes else ""
        return f"{self.cpu}, {self.num_cores} cores{memory}, {self.os}, Python {self.python}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe() -> Machine:
    """This machine, without its name or address."""
    return Machine(
        cpu=_cpu_model(),
        num_cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no control group, or "max"
        return installed
    return min(installed, limit)
