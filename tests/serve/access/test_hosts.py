"""Several hosts share their limits through a real Redis, and each has its own when that is away."""

from __future__ import annotations

import asyncio
import uuid

from tenfold.serve.access.counters import Counters
from tenfold.serve.access.grant import Cap, Grant
from tenfold.serve.access.hosts import HostSync
from tenfold.serve.access.limits import Limits
from tenfold.serve.refusal import Refusal

from .counting import AT_S

CAP = Cap("key:app", 10, 1000)


class Host:
    """A worker of a host of its own."""

    def __init__(self, folder, url, prefix, clock, **more) -> None:
        self.counters = Counters(folder, workers=2)
        self.limits = Limits(self.counters, now=clock)
        self.sync = HostSync(
            self.counters, url, folder, prefix=prefix, now=clock, timeout_s=0.5, **more
        )
        self.grant = Grant("t", "app", caps=(CAP,))

    def admitted(self, times: int) -> int:
        let_in = 0
        for _ in range(times):
            try:
                self.limits.admit(self.grant)
            except Refusal:
                continue
            let_in += 1
        return let_in


def hosts(tmp_path, url, clock, names="ab"):
    prefix = uuid.uuid4().hex
    return [Host(tmp_path / name, url, prefix, clock, every_s=0.02) for name in names]


def test_what_other_hosts_counted_counts_here(tmp_path, shared_redis):
    async def main():
        at = [AT_S]
        one, two = hosts(tmp_path, shared_redis.url, lambda: at[0])
        assert (one.admitted(6), two.admitted(3)) == (6, 3)
        one.limits.spent(one.grant, 400)
        for _ in range(2):  # told, then learnt; and saying it twice is saying it once
            for host in (one, two):
                await host.sync.share()
        assert one.limits.counts(CAP) == two.limits.counts(CAP) == (9, 400)
        assert (one.admitted(5), two.admitted(0)) == (1, 0)
        two.limits.spent(two.grant, 700)
        for host in (two, one, two):
            await host.sync.share()
        assert one.limits.counts(CAP) == (10, 1100)
        at[0] += 60  # half way into the next window, half of it is left
        assert one.limits.counts(CAP) == two.limits.counts(CAP) == (5, 550)
        for host in (one, two):
            await host.sync.stop()

    asyncio.run(main())


def test_by_itself_it_follows_and_goes_on_alone_without_redis(tmp_path, redis_server):
    async def main():
        one, two = hosts(tmp_path, redis_server.url, lambda: AT_S)
        for host in (one, two):
            await host.sync.start()
        try:
            assert one.admitted(10) == 10
            assert two.admitted(1) == 1
            await until(lambda: two.limits.counts(CAP)[0] == 11)
            assert two.admitted(1) == 0
            await asyncio.to_thread(redis_server.kill)
            await until(lambda: one.sync.degraded and two.sync.degraded)
            assert two.admitted(1) == 0  # what it knew, it knows
            await asyncio.to_thread(redis_server.start)
            await until(lambda: not (one.sync.degraded or two.sync.degraded))
        finally:
            for host in (one, two):
                await host.sync.stop()

    asyncio.run(main())


def test_one_worker_of_a_host_does_it_and_another_when_that_is_gone(tmp_path, shared_redis):
    async def main():
        prefix = uuid.uuid4().hex
        first, second = (
            Host(tmp_path, shared_redis.url, prefix, lambda: AT_S, every_s=0.02) for _ in range(2)
        )
        assert first.sync._leads()
        assert not second.sync._leads()
        await first.sync.stop()
        assert second.sync._leads()
        await second.sync.stop()

    asyncio.run(main())


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
