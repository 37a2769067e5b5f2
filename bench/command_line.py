"""What the command line costs before it does anything: `tenfold --help`, and importing the package.

CPU time is the child's own from wait4; memory is what the kernel says of the child's address space, for a
child's ru_maxrss also remembers its parent.
"""

from __future__ import annotations

import harness
from harness import Figures, spread

NUM_ROUNDS = 7
_HELP_BYTES = """
import resource, sys
try:
    from tenfold.cli.main import main
    main(["--help"])
except SystemExit:
    pass
try:
    lines = open("/proc/self/status").read().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
except OSError:  # macOS: in bytes, and not inherited
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak)
"""
_IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def measure(quick: bool) -> Figures:
    harness.child("-m", "tenfold", "--help")  # bytecode is written once, not in what is measured
    helped, bare = [], []
    for _ in range(NUM_ROUNDS):
        helped.append(harness.child("-m", "tenfold", "--help").cpu_s * 1e3)
        bare.append(harness.child("-c", "pass").cpu_s * 1e3)
    yield "help_cpu_ms", spread(
        helped, "ms", "user and system CPU time of `python -m tenfold --help`; smallest",
        take=min, peer="`python -c pass`: python_cpu_ms",
    )  # fmt: skip
    yield (
        "python_cpu_ms",
        spread(
            bare,
            "ms",
            "the interpreter alone, `python -c pass`, alternating with it; smallest",
            take=min,
        ),
    )
    peaks = [_last(harness.child("-c", _HELP_BYTES)) / 1e6 for _ in range(3)]
    yield "help_rss_mb", spread(peaks, "MB", "peak resident memory of --help (VmHWM); median")
    for key, statement in (
        ("import_tenfold_ms", "import tenfold"),
        ("import_factory_ms", "import tenfold; tenfold.Factory"),
    ):
        code = _IMPORT.format(statement)
        harness.child("-c", code)
        times = [_last(harness.child("-c", code)) * 1e3 for _ in range(NUM_ROUNDS)]
        how = f"wall time of `{statement}` in a fresh interpreter; smallest"
        yield key, spread(times, "ms", how, take=min)


def _last(ended: harness.Ended) -> float:
    return float(ended.stdout.split()[-1])
