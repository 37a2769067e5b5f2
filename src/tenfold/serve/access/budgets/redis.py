"""Budgets in Redis or Valkey, for gateways on several hosts. Needs the `redis` extra.

The rules are those of `posting`, here in Lua, for a script is what Redis runs without anybody in between.
One call carries everything that waits: settlements and reservations of many requests. All keys have one
hash tag, so in a cluster they lie on one node. A call may be repeated: nothing is booked twice.

What is booked lasts as long as Redis keeps it: run it with `appendonly yes`, and with an eviction policy
that leaves keys without expiry alone (`noeviction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tenfold.errors import ConfigError
from tenfold.need import need
from tenfold.serve.access.budgets.base import (
    Ask,
    Settlement,
    Standing,
    StoreLost,
    Verdict,
    kept_s,
)

_KEEP_MS = 24 * 3600 * 1000
"""How long it is known that a reservation was forfeited or booked locally."""

_HEAD = """
local P = KEYS[1]
local function whole(x) return string.format('%.0f', x) end
local function standing(row)
  local v = redis.call('HMGET', P .. ':row:' .. row, 's', 'r', 'f')
  return tonumber(v[1] or 0), tonumber(v[2] or 0), tonumber(v[3] or 0), v[1]
end
local function add(row, field, amount)
  if amount ~= 0 then redis.call('HINCRBY', P .. ':row:' .. row, field, whole(amount)) end
end
"""
_APPLY = (
    _HEAD
    + """
local told = cmsgpack.unpack(ARGV[1])
for _, x in ipairs(told[1]) do
  local id, held, expires, rows, lone, amount = x[1], x[2], x[3], x[4], x[5], x[6]
  local open = redis.call('HDEL', P .. ':open', id) == 1
  local late = false
  if open then redis.call('ZREM', P .. ':due', id)
  else late = redis.call('ZREM', P .. ':forfeited', id) == 1 end
  local fresh = false
  if lone then fresh = redis.call('ZADD', P .. ':booked', 'NX', whole(expires), id) == 1 end
  if open or late or fresh then
    for _, row in ipairs(rows) do
      add(row, 's', amount)
      if open then add(row, 'r', -held)
      elseif late then
        local _, _, f = standing(row)
        add(row, 'f', -math.min(f, held))
      end
    end
  end
end
local answer = {}
for _, x in ipairs(told[2]) do
  local id, amount, expires, rows, limits, kept = x[1], x[2], x[3], x[4], x[5], x[6]
  local new = {}
  local at = #answer + 1
  local granted = 1
  answer[at] = 1
  for i, row in ipairs(rows) do
    local s, r, f, there = standing(row)
    if s + r + f + amount > limits[i] then granted = 0 end
    answer[at + 3 * i - 2], answer[at + 3 * i - 1], answer[at + 3 * i] = s, r, f
    new[i] = not there
  end
  if redis.call('HEXISTS', P .. ':open', id) == 1 then granted = 2 end
  if granted == 1 then
    redis.call('HSET', P .. ':open', id, cmsgpack.pack({amount, expires, rows}))
    redis.call('ZADD', P .. ':due', whole(expires), id)
    for i, row in ipairs(rows) do
      add(row, 'r', amount)
      if new[i] then
        redis.call('HSETNX', P .. ':row:' .. row, 's', 0)
        if kept[i] > 0 then redis.call('EXPIRE', P .. ':row:' .. row, whole(kept[i])) end
      end
      answer[at + 3 * i - 1] = answer[at + 3 * i - 1] + amount
    end
  end
  answer[at] = granted > 0 and 1 or 0
end
return answer
"""
)
_EXPIRE = (
    _HEAD
    + """
local now, most, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', P .. ':forfeited', '-inf', whole(now - keep))
redis.call('ZREMRANGEBYSCORE', P .. ':booked', '-inf', whole(now - keep))
local due = redis.call('ZRANGEBYSCORE', P .. ':due', '-inf', whole(now), 'LIMIT', 0, most)
for _, id in ipairs(due) do
  redis.call('ZREM', P .. ':due', id)
  local packed = redis.call('HGET', P .. ':open', id)
  if packed then
    local x = cmsgpack.unpack(packed)
    redis.call('HDEL', P .. ':open', id)
    redis.call('ZADD', P .. ':forfeited', whole(x[2]), id)
    for _, row in ipairs(x[3]) do
      add(row, 'r', -x[1])
      add(row, 'f', x[1])
    end
  end
end
return #due
"""
)
_CREDIT = (
    _HEAD
    + """
local _, _, f = standing(ARGV[1])
local given = math.max(0, math.min(f, tonumber(ARGV[2])))
add(ARGV[1], 'f', -given)
return given
"""
)


class RedisBudgets:
    """The store of several hosts."""

    name = "redis"

    def __init__(self, url: str, *, prefix: str = "tenfold", timeout_s: float = 1.0) -> None:
        """`url`: `redis://`, `rediss://` or `unix://`. `timeout_s`: without an answer for so long, the
        store is taken for lost. Raises ConfigError, MissingExtra; connects later."""
        client = need("redis.asyncio", extra="redis", why="to keep budgets in Redis")
        self._errors = (
            need("redis", extra="redis", why="to keep budgets in Redis").RedisError,
            OSError,
        )
        retry = need("redis.asyncio.retry", extra="redis", why="to keep budgets in Redis").Retry
        backoff = need("redis.backoff", extra="redis", why="to keep budgets in Redis").NoBackoff
        try:
            self._client = client.Redis.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=retry(backoff(), 1),  # a connection that was closed meanwhile is made anew
            )
        except ValueError as error:
            # Without the URL, which may hold a password.
            raise ConfigError("not a Redis URL", hint="redis://host:6379/0") from error
        self._keys = [f"{{{prefix}}}:budget"]
        self._apply = self._client.register_script(_APPLY)
        self._expire = self._client.register_script(_EXPIRE)
        self._credit = self._client.register_script(_CREDIT)

    def apply_now(
        self, settlements: Sequence[Settlement], asks: Sequence[Ask]
    ) -> list[Verdict] | None:
        return None

    async def apply(self, settlements: Sequence[Settlement], asks: Sequence[Ask]) -> list[Verdict]:
        told = (
            [(r.id, r.amount, r.expires_ms, r.rows, r.local, amount) for r, amount in settlements],
            [
                (
                    r.id, r.amount, r.expires_ms, r.rows, limits,
                    [kept_s(row) or 0 for row in r.rows],
                )
                for r, limits in asks
            ],
        )  # fmt: skip
        answer = await self._run(self._apply, [_pack(told)])
        verdicts = []
        at = 0
        for reservation, _ in asks:
            after = at + 1 + 3 * len(reservation.rows)
            figures = answer[at + 1 : after]
            verdicts.append(
                Verdict(
                    bool(answer[at]),
                    tuple(Standing(*figures[i : i + 3]) for i in range(0, len(figures), 3)),
                )
            )
            at = after
        return verdicts

    async def standings(self, rows: Sequence[str]) -> list[Standing]:
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                for row in rows:
                    pipeline.hmget(f"{self._keys[0]}:row:{row}", "s", "r", "f")
                found = await pipeline.execute()
        except self._errors as error:
            raise StoreLost(_said(error)) from error
        return [Standing(*(int(figure or 0) for figure in figures)) for figures in found]

    async def credit(self, row: str, amount: int) -> int:
        return int(await self._run(self._credit, [row, amount]))

    async def expire(self, now_ms: int, most: int = 500) -> int:
        return int(await self._run(self._expire, [now_ms, most, _KEEP_MS]))

    async def close(self) -> None:
        await self._client.aclose()

    async def _run(self, script: Any, arguments: list[Any]) -> Any:
        try:
            return await script(keys=self._keys, args=arguments)
        except self._errors as error:
            raise StoreLost(_said(error)) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


_pack = msgspec.msgpack.Encoder().encode
