"""A worker process that counts: `counting.py FOLDER WORKER WORKERS REQUESTS TOKENS_EACH [RPM]`.

Says how many of its requests were let in. With RPM 0 there is no limit but counting goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tenfold.serve.access.counters import Counters
from tenfold.serve.access.grant import Cap, Grant
from tenfold.serve.access.limits import Limits
from tenfold.serve.refusal import Refusal

AT_S = 1_764_547_230.0
"""The middle of a minute, for all of them: no window ends while they count."""


def main(folder: str, worker: str, workers: str, requests: str, tokens: str, rpm: str) -> None:
    counters = Counters(Path(folder), worker=int(worker), workers=int(workers))
    limits = Limits(counters, now=lambda: AT_S)
    grants = [Grant("t", "k", caps=(cap(int(rpm)),)), Grant("t", "l", caps=(cap(int(rpm), "b"),))]
    print("ready", flush=True)
    sys.stdin.readline()
    admitted = 0
    for number in range(int(requests)):
        try:
            limits.admit(grants[number % 2])
        except Refusal:
            continue
        admitted += 1
        limits.spent(grants[number % 2], int(tokens))
        if number % 500 == 0:
            print(admitted, flush=True)
    print(admitted, flush=True)


def cap(rpm: int, name: str = "a") -> Cap:
    return Cap(f"key:{name}", rpm or (1 << 30), 1 << 40)


if __name__ == "__main__":
    main(*sys.argv[1:])
