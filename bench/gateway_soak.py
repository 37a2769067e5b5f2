"""The gateway over ten minutes at full load: does its memory stay where it is?

    python bench/gateway_soak.py [--quick] [--json]

Apart from bench/gateway.py because it takes as long as half of that. A full run writes
bench/results/gateway_soak.json and gateway_soak.md.
"""

from __future__ import annotations

import sys
from functools import partial

import gateway_memory
import harness
from gateway_stage import Stage


def main() -> int:
    with Stage() as stage:
        about = (__doc__ or "").partition("\n")[0]
        parts = {"soak_rss_mb_per_min": partial(gateway_memory.soak, stage)}
        return harness.main("gateway_soak", about, parts)


if __name__ == "__main__":
    sys.exit(main())
