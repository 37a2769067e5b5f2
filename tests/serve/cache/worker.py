"""A worker for test_relay.py: answers KEY through tiers, claims and flights; its model waits for files to appear.

Not a test. Arguments: folder, requests at once. It says `part` for every first part seen, then what it got.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import uvloop

from tenfold.errors import BackendError, InputError
from tenfold.serve.cache.claim import Claims
from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.flight import Vacant
from tenfold.serve.cache.flights import Flights, Neighbours
from tenfold.serve.cache.host import HostTier
from tenfold.serve.cache.relay import Relay
from tenfold.serve.cache.stored import Stored
from tenfold.serve.cache.tier import Tiers

KEY = bytes(range(32))
FLIGHT = KEY + b"s"  # a stream's flight, apart from that of the whole answer


async def until(path: Path) -> None:
    while not path.exists():
        await asyncio.sleep(0.005)


async def generate(folder: Path):
    with (folder / "generations").open("a") as book:
        book.write(f"{os.getpid()}\n")
    await until(folder / "begin")
    if (folder / "refuse").exists():
        raise InputError("no such role")
    if (folder / "fail").exists():
        raise BackendError("out of order")
    yield b"first "
    await until(folder / "finish")
    yield b"last"


async def ask(folder: Path, tiers: Tiers, flights: Flights) -> str:
    vacant = None
    got: list[bytes] = []
    while True:
        found = tiers.get(KEY)
        if found is not None:
            return f"{found[0]}:{found[1].events.decode()}"
        try:
            flight, leads = flights.join(FLIGHT, vacant)
            if leads:
                asked_at_s = time.time()
                with flight:
                    flight.begin(True, b"head")
                    try:
                        async for part in generate(folder):
                            flight.publish(part)
                            if not got:
                                print("part", flush=True)
                            got.append(part)
                    except InputError as error:
                        flight.fail(error, shared=True)
                        raise
                    if (folder / "unstorable").exists():
                        flight.end({"tokens": 2})
                        return "led:" + b"".join(got).decode()
                    stored = Stored(
                        response_id="r", model_digest="d", backend="b", prompt_tokens=1,
                        completion_tokens=2, events=b"".join(got), created_at_s=asked_at_s,
                    )  # fmt: skip
                    tiers.put(KEY, stored)
                    flight.end({"tokens": 2}, stored)
                return "led:" + b"".join(got).decode()
            if flight.stored is not None:
                return "stored:" + flight.stored.events.decode()
            follower = flight.follow()
            try:
                await follower.begun()
                async for part in follower:
                    if not got:
                        print("part", flush=True)
                    got.append(part)
            finally:
                follower.close()
            if not got and flight.stored is not None:
                return "stored:" + flight.stored.events.decode()
            assert follower.outcome in ({"tokens": 2}, None)
            return "followed:" + b"".join(got).decode()
        except Vacant as met:
            vacant = met
        except (BackendError, InputError) as error:
            return f"{type(error).__name__}:{error}"


async def main(folder: Path, requests: int) -> None:
    host = HostTier(folder / "host", max_bytes=16 << 20)
    tiers = Tiers([ExactTier(max_entries=100, max_bytes=1 << 20), host], board=host)
    claims = Claims(folder / "f")
    flights = Flights()

    def look(key: bytes) -> Stored | None:
        found = tiers.get(key[:32])
        return found[1] if found else None

    relay = Relay(folder / "f", flights, look, silence_s=1.0, errors=(InputError, BackendError))
    await relay.start()
    flights.neighbours = Neighbours(claims, relay.fetch, look, host.after_puts)
    print("ready", flush=True)
    await until(folder / "go")
    answers = await asyncio.gather(*[ask(folder, tiers, flights) for _ in range(requests)])
    for answer in answers:
        print(answer, flush=True)
    print("done", flush=True)
    await until(folder / "leave")
    await relay.close()
    host.close()


uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))  # as the gateway runs
