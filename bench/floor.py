"""The factory floor in figures: the demo, what is skipped, what a crash costs, the command, the door.

    python bench/floor.py [--quick] [--json] [--only PART]

A full run takes a few minutes on a quiet machine and writes bench/results/floor.json and floor.md.
docs/benches.md says what each figure means.
"""

from __future__ import annotations

import sys

import command_line
import crash
import demo
import gateway_overhead
import harness
import install
import skip

PARTS = {
    "command-line": command_line.measure,
    "skip": skip.measure,
    "crash": crash.measure,
    "gateway": gateway_overhead.measure,
    "install": install.measure,
    "demo": demo.measure,
}

if __name__ == "__main__":
    sys.exit(harness.main("floor", (__doc__ or "").partition("\n")[0], PARTS))
