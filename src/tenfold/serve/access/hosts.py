"""Rate limits over several hosts: every tenth of a second a host tells Redis what it counted and learns what
the others did. Needs the `redis` extra.

So a limit is exact within a host and follows the others by up to `every_s` and a round trip: in that time
each host lets in what its own counts allow. One worker per host does it (who, is decided by a file lock
that ends with its holder) and writes the others' sums into a column of the counters that all workers read.
While Redis is away the hosts count for themselves. Windows are those of the clocks: keep them in step.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from tenfold.need import need
from tenfold.serve.access.counters import COUNT_BITS, Counters, minutes_of

log = logging.getLogger("tenfold.gateway")

_BATCH = 500
"""Limits per call."""
_KEEP_MS = 180_000
_SHARE = """
local answer = {}
for _, x in ipairs(cmsgpack.unpack(ARGV[2])) do
  local key = KEYS[1] .. ':' .. x[1]
  redis.call('HSET', key, ARGV[1], x[2] .. ' ' .. x[3])
  redis.call('PEXPIRE', key, ARGV[3])
  local requests, tokens = 0, 0
  local told = redis.call('HGETALL', key)
  for i = 1, #told, 2 do
    if told[i] ~= ARGV[1] then
      local r, t = string.match(told[i + 1], '(%d+) (%d+)')
      requests, tokens = requests + r, tokens + t
    end
  end
  answer[#answer + 1], answer[#answer + 2] = requests, tokens
end
return answer
"""


class HostSync:
    """One per worker; of all on a host, one works."""

    def __init__(
        self,
        counters: Counters,
        redis_url: str,
        folder: Path | None,
        *,
        every_s: float = 0.1,
        timeout_s: float = 1.0,
        prefix: str = "tenfold",
        host: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`folder`: the counters' own; None: of this process alone. `host` names this one among the others; None: by chance."""
        redis = need("redis.asyncio", extra="redis", why="to share rate limits among hosts")
        self._errors = (need("redis", extra="redis", why="").RedisError, OSError)
        self._client = redis.Redis.from_url(
            redis_url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        )
        self._share = self._client.register_script(_SHARE)
        self._keys = [f"{{{prefix}}}:rate"]
        self._counters = counters
        self._every_s = every_s
        self._host = host or uuid.uuid4().hex
        self._now = now
        self._lock: int | None = None
        if folder is not None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock = os.open(folder / "limits-sync", flags, 0o600)
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.degraded = False
        """Redis is away: this host counts for itself."""

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._ending.set()
        if self._task is not None:
            await self._task
        await self._client.aclose()
        if self._lock is not None:
            os.close(self._lock)

    async def _run(self) -> None:
        while not self._ending.is_set():
            if self._leads():
                try:
                    await self.share()
                    if self.degraded:
                        self.degraded = False
                        log.warning("rate limits are shared among hosts again")
                except self._errors as error:
                    if not self.degraded:
                        self.degraded = True
                        log.error(
                            "rate limits are not shared among hosts (%s: %s); each enforces its own",
                            type(error).__name__,
                            error,
                        )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._every_s)

    def _leads(self) -> bool:
        if self._lock is None:
            return True
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    async def share(self) -> None:
        """Tell and learn, once. Raises Redis's errors."""
        window = int(minutes_of(self._now()))
        active = self._active(window)
        for start in range(0, len(active), _BATCH):
            batch = active[start : start + _BATCH]
            told = [(f"{window}:{tag}", requests, tokens) for _, tag, requests, tokens in batch]
            learnt = await self._share(
                keys=self._keys, args=[self._host, msgspec.msgpack.encode(told), _KEEP_MS]
            )
            for index, (row, tag, _, _) in enumerate(batch):
                self._learn(row, tag, window, learnt[2 * index], learnt[2 * index + 1])

    def _active(self, window: int) -> list[tuple[int, int, int, int]]:
        """(row, tag, requests, tokens) of every limit this host counted on in this window or the last."""
        counters = self._counters
        found = []
        since, base = (window - 1) << COUNT_BITS, window << COUNT_BITS
        after = base + (1 << COUNT_BITS)
        own = counters.columns - 1
        for index, tag in enumerate(counters.tags()):
            if not tag:
                break  # rows are taken in order
            row = index * counters.stride
            cells = counters.words[row : row + counters.stride].tolist()
            halves = (cells[1 : counters.block], cells[counters.block + 1 :])
            if all(max(half[:own]) < since for half in halves):
                continue
            now = halves[window & 1]
            sums = [
                sum(cell - base for cell in kind[:own] if base <= cell < after)
                for kind in (now[: counters.columns], now[counters.columns :])
            ]
            found.append((row, tag, sums[0], sums[1]))
        return found

    def _learn(self, row: int, tag: int, window: int, requests: int, tokens: int) -> None:
        counters = self._counters
        start = row + (window & 1) * counters.block
        if counters.words[start] != tag:
            return  # given away meanwhile
        base = window << COUNT_BITS
        elsewhere = start + counters.columns
        counters.words[elsewhere] = base + requests
        counters.words[elsewhere + counters.columns] = base + tokens
