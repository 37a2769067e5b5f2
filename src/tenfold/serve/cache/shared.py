"""The shared tier: answers of all hosts, in Redis or Valkey (6.2 or newer), with a time to live.

Requests wait for it a few milliseconds at most and are served without it when it is away. Purges are marks in
a sorted set there, which every worker looks at once a second. It knows keys and answers, no requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping

from tenfold.serve.cache.purge import EVERYTHING, MAX_MARKS, Marks
from tenfold.serve.cache.resp import Link, wire
from tenfold.serve.cache.stored import Stored, decode, encode

_RELEASE = (
    b"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0"
)
_RENEW = (
    b"if redis.call('get',KEYS[1])==ARGV[1] then "
    b"return redis.call('pexpire',KEYS[1],ARGV[2]) end return 0"
)
FIRST_WAIT_S = 0.01
LONGEST_WAIT_S = 0.25


class SharedTier:
    """For one event loop. Call `start` there before it is used."""

    name = "shared"

    def __init__(
        self,
        link: Link,
        *,
        namespace: str = "tenfold",
        ttl_s: float = 86_400.0,
        max_answer_bytes: int = 4 * 1024 * 1024,
        deflate_from_bytes: int | None = 4096,
        poll_s: float = 1.0,
        claim_ttl_s: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`deflate_from_bytes`: a stream of 40 kB takes 2 kB of Redis, for 60 us of CPU there and back.
        `ttl_s` is the longest an answer stays. `poll_s`: how soon a purge elsewhere is seen here.
        `claim_ttl_s`: how long after a host's death others wait for the answer it was making."""
        self._link = link
        self._ttl_s = ttl_s
        self._max_answer_bytes = max_answer_bytes
        self._deflate_from_bytes = deflate_from_bytes
        self._poll_s = poll_s
        self._claim_ttl_s = claim_ttl_s
        self._clock = clock
        prefix = namespace.encode() + b":"
        self._answers = prefix + b"a:"
        self._claims = prefix + b"c:"
        self._mark_key = prefix + b"purges"
        self._generation_key = prefix + b"generation"
        self._seen: object = b"not looked yet"
        self._learn: Callable[[Mapping[str, float]], None] = lambda marks: None
        self._unsaid = Marks()
        """Purges that Redis has not been told of, because it was away."""
        self._known = Marks()
        self._poller: asyncio.Task[None] | None = None
        self.num_dropped = 0

    def start(self) -> None:
        self._link.on_back = self._say_all_marks
        self._link.start()
        self._poller = asyncio.get_running_loop().create_task(self._poll())

    async def close(self) -> None:
        if self._poller is not None:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller
        await self._link.close()

    def watch(self, learn: Callable[[Mapping[str, float]], None]) -> None:
        """Have `learn` called with all marks whenever another host may have added one."""
        self._learn = learn

    async def get(self, key: bytes) -> Stored | None:
        return self._usable(await self._link.call(wire(b"GET", self._answers + key)))

    def put(self, key: bytes, stored: Stored) -> None:
        ttl_s = self._ttl_s
        if stored.expires_at_s:
            ttl_s = min(ttl_s, stored.expires_at_s - self._clock())
        milliseconds = int(ttl_s * 1000)
        if milliseconds <= 0:
            return
        value = encode(stored, deflate_from_bytes=self._deflate_from_bytes)
        if len(value) > self._max_answer_bytes or not self._link.tell(
            wire(b"SET", self._answers + key, value, b"PX", b"%d" % milliseconds)
        ):
            self.num_dropped += 1

    def purge(self, tag: str, at_s: float) -> None:
        self._known.add(tag, at_s)
        if not self._unsaid:  # once for all purges of one turn of the loop
            asyncio.get_running_loop().call_soon(self._say_marks)
        self._unsaid.add(tag, at_s)

    async def claim(self, key: bytes, patience_s: float) -> Stored | Claim | None:
        """One round trip where nobody else is at it: a claim, to be released after the answer was put.

        Where another host makes the answer: that answer, when it is there. There are no parts in between,
        hosts do not stream to each other. None: make it without a claim, because Redis is away or
        `patience_s` have passed.
        """
        give_up = time.monotonic() + patience_s
        token = secrets.token_bytes(16)
        name = self._claims + key
        take = wire(b"SET", name, token, b"NX", b"PX", b"%d" % int(self._claim_ttl_s * 1000))
        look = wire(b"GET", self._answers + key)
        wait_s = FIRST_WAIT_S
        while True:
            # The claim first: who gets it only after the other has landed finds the answer.
            taken, found = await self._link.calls(take, look)
            stored = self._usable(found)
            mine = Claim(self._link, name, token, self._claim_ttl_s) if taken == b"OK" else None
            if stored is not None:
                if mine is not None:
                    mine.release()
                return stored
            if mine is not None or not self._link.connected or time.monotonic() >= give_up:
                return mine
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, LONGEST_WAIT_S)

    def _usable(self, value: object) -> Stored | None:
        stored = decode(value) if isinstance(value, bytes) else None
        if stored is not None and stored.expires_at_s and stored.expires_at_s < self._clock():
            return None
        return stored

    def _say_all_marks(self) -> None:
        """Redis may have come back without its memory, and a host that was away may need them."""
        self._unsaid.learn(self._known.at_s)
        self._say_marks()

    def _say_marks(self) -> None:
        """Tell Redis what it has not heard; GT: a mark never goes back in time."""
        if not self._unsaid or not self._link.connected:
            return
        scores = [
            word
            for tag, at_s in self._unsaid.at_s.items()
            for word in (repr(at_s).encode(), tag.encode())
        ]
        # Answers are gone after their time to live, and marks on them may go then.
        oldest = repr(self._clock() - self._ttl_s - 60).encode()
        if (
            self._link.tell(wire(b"ZADD", self._mark_key, b"GT", *scores))
            and self._link.tell(wire(b"ZREMRANGEBYSCORE", self._mark_key, b"-inf", oldest))
            # Not a count: it would start again, at a number seen before, when Redis lost its memory.
            and self._link.tell(wire(b"SET", self._generation_key, secrets.token_bytes(8)))
        ):
            self._unsaid = Marks()

    async def _poll(self) -> None:
        while True:
            await self._look_for_marks()
            await asyncio.sleep(self._poll_s)

    async def _look_for_marks(self) -> None:
        self._say_marks()
        if not self._link.connected:
            return
        generation = await self._link.call(wire(b"GET", self._generation_key))
        if generation == self._seen:
            return
        flat = await self._link.call(wire(b"ZRANGE", self._mark_key, b"0", b"-1", b"WITHSCORES"))
        if not isinstance(flat, list):
            return
        marks = {
            tag.decode(errors="replace"): float(at_s)
            for tag, at_s in zip(flat[::2], flat[1::2], strict=True)
        }
        if len(marks) > MAX_MARKS:
            self._merge(marks)
        self._known.learn(marks)
        self._learn(marks)
        self._seen = generation

    def _merge(self, marks: Mapping[str, float]) -> None:
        merged = Marks(marks)
        everything = repr(merged.at_s[EVERYTHING]).encode()
        self._link.tell(wire(b"ZADD", self._mark_key, b"GT", everything, EVERYTHING.encode()))
        gone = [tag.encode() for tag in marks if tag not in merged.at_s]
        self._link.tell(wire(b"ZREM", self._mark_key, *gone))


class Claim:
    """That this host makes an answer. Renewed until it is released; it lapses if the host dies."""

    def __init__(self, link: Link, name: bytes, token: bytes, ttl_s: float) -> None:
        self._link = link
        self._words = (name, token)
        self._ttl_s = ttl_s
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(ttl_s / 3, self._renew)

    def release(self) -> None:
        """After `put`, which goes the same way: whoever sees the claim gone sees the answer."""
        self._timer.cancel()
        self._link.tell(wire(b"EVAL", _RELEASE, b"1", *self._words))

    def _renew(self) -> None:
        milliseconds = b"%d" % int(self._ttl_s * 1000)
        self._link.tell(wire(b"EVAL", _RENEW, b"1", *self._words, milliseconds))
        self._timer = self._loop.call_later(self._ttl_s / 3, self._renew)
