"""`python -m tenfold.serve.engine --folder DIR --name NAME --fd N`: one engine on an inherited socket.

Started by `tenfold.serve.backends.embedded`; there is no reason to start it by hand.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

from tenfold.serve.engine.server import ServerConfig, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tenfold.serve.engine")
    parser.add_argument("--fd", type=int, required=True, help="the inherited socket")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--digest", default="")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--waiting", type=int, default=256)
    parser.add_argument("--context", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parent", type=int, default=None)
    given = parser.parse_args()
    # Ctrl-C in a terminal, and a service manager's SIGTERM, reach the whole group; the gateway ends us by
    # hanging up, when it has drained. The death of the gateway ends us too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    config = ServerConfig(
        folder=given.folder,
        name=given.name,
        digest=given.digest,
        num_slots=given.slots,
        max_waiting=given.waiting,
        context_tokens=given.context,
        num_threads=given.threads,
        parent_pid=given.parent,
    )
    with socket.socket(fileno=given.fd) as line:
        sys.exit(serve(config, line))


if __name__ == "__main__":
    main()
