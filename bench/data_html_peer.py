"""Trafilatura in its own environment: paths of pages in, their texts and CPU seconds out, a JSON line each.

Runs with the peer's interpreter and knows nothing of tenfold. Its defaults are kept but for comments, which
the marked texts leave out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    from trafilatura import extract

    for line in sys.stdin:
        pages = [Path(path).read_bytes() for path in json.loads(line)]
        started_s = time.process_time()
        texts = [extract(page, include_comments=False) or "" for page in pages]
        print(json.dumps({"cpu_s": time.process_time() - started_s, "texts": texts}), flush=True)


if __name__ == "__main__":
    main()
