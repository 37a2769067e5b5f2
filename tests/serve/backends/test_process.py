"""The engine's process as the gateway sees it, with a program of our own in the engine's place."""

from __future__ import annotations

import asyncio
import socket
import sys

from tenfold.serve.backends.process import EngineProcess

LOUD = """
import sys
sys.stderr.write("\\r" + "x" * 3_000_000 + "\\nlast words\\nand no end")
"""


def test_an_engine_that_writes_without_line_ends_is_not_held_up():
    async def scene():
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LOUD, stderr=asyncio.subprocess.PIPE
        )
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            process = EngineProcess(child, reader, writer)
            try:
                await asyncio.wait_for(child.wait(), 20)
            finally:
                await process.kill()
        return process.obituary

    obituary = asyncio.run(scene())
    assert obituary.startswith("exit code 0")
    assert obituary.endswith("last words\nand no end")
