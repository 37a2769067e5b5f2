"""A gateway for test_batch_crash.py: one of several processes on a state folder, in front of a server.

Not a test. Arguments: state folder, the server's URL, this worker's number. It says its URL.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tenfold.ledger import open_ledger
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.parts import open_parts
from tenfold.serve.gateway.server import run


def main(folder: str, url: str, worker: str) -> None:
    config = GatewayConfig(
        tiers=(), state_dir=Path(folder), batch=BatchConfig(look_s=0.05, concurrency=4)
    )
    # The key tells the server who asks.
    backend = OpenAIBackend(OpenAIConfig(base_url=url, api_key=worker))
    parts = open_parts(config, int(worker), 2)
    gateway = Gateway(config, [backend], open_ledger("memory:"), parts=parts)
    run(gateway, port=0, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
