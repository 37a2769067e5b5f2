"""Nobody gets another tenant's answer, nor one that was purged, whatever happens in whatever order.

A random walk over two workers of a host and one of another host: dictionaries, a shared LMDB file and a real
Redis. Every answer says whose it is, so every hit can be checked.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.host import HostTier
from tenfold.serve.cache.key import canonical_key
from tenfold.serve.cache.purge import EVERYTHING, model_tag, surrogate_tag, tenant_tag
from tenfold.serve.cache.resp import Link
from tenfold.serve.cache.shared import SharedTier
from tenfold.serve.cache.stored import Stored
from tenfold.serve.cache.tier import Tiers

TENANTS = st.sampled_from(["", "a", "ab", 'a","b', "b"])
MODELS = st.sampled_from([("m", "d1"), ("m", "d2"), ("md", "1")])
BODIES = st.fixed_dictionaries(
    {"messages": st.sampled_from(["hi", "hi ", "bye"])},
    optional={"temperature": st.sampled_from([0, 0.0, 1]), "user": st.sampled_from(["x", "y"])},
)
WORKERS = st.integers(0, 2)
SURROGATES = st.sampled_from([(), ("page",), ("page", "part")])


def meaning(tenant, model, body, epoch):
    said = {name: value for name, value in body.items() if name != "user"}
    if "temperature" in said:
        said["temperature"] = float(said["temperature"])
    return json.dumps([tenant, *model, said, epoch], sort_keys=True)


class Walk(RuleBasedStateMachine):
    url = ""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.now = time.time()
        self.namespace = f"walk{time.time_ns()}"
        self.purged: dict[str, float] = {}
        self.hits = 0
        self.host = self.open_host(0)
        self.far_host = self.open_host(1)
        self.workers = [self.run(self.open_worker(number)) for number in range(3)]

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def tick(self):
        self.now += 0.001
        return self.now

    def open_host(self, number):
        folder = Path(self.folder.name) / str(number)
        return HostTier(folder, max_bytes=1 << 20, batch_s=0, clock=lambda: self.now)

    async def open_worker(self, number):
        host = self.far_host if number == 2 else self.host
        link = Link(self.url, timeout_s=5.0)
        remote = SharedTier(link, namespace=self.namespace, poll_s=3600.0, clock=lambda: self.now)
        remote.start()
        while not link.connected:
            await asyncio.sleep(0.001)
        exact = ExactTier(max_entries=4, max_bytes=1 << 20, clock=lambda: self.now)
        tiers = Tiers([exact, host], remote=remote, board=host, clock=self.tick)
        await remote._look_for_marks()
        return tiers

    async def close_worker(self, tiers):
        tiers.chain = tiers.chain[:1]  # the host's file is not this worker's alone
        await tiers.close()

    @rule(
        worker=WORKERS, tenant=TENANTS, model=MODELS, body=BODIES,
        epoch=st.integers(0, 1), surrogates=SURROGATES, late=st.booleans(),
    )  # fmt: skip
    def ask(self, worker, tenant, model, body, epoch, surrogates, late):
        """Looks it up; makes and stores it otherwise, `late` with a purge of its tenant in between."""
        tiers = self.workers[worker]
        key = canonical_key("e", tenant, *model, body, epoch)
        asked_at_s = self.tick()
        found = tiers.get(key) or self.run(tiers.get_remote(key))
        if found is not None:
            self.hits += 1
            stored = found[1]
            assert stored.whole.decode() == meaning(tenant, model, body, epoch)
            assert stored.tenant == tenant
            tags = (EVERYTHING, tenant_tag(tenant), model_tag(model[1]))
            for tag in (*tags, *map(surrogate_tag, stored.surrogates)):
                assert stored.created_at_s > self.purged.get(tag, 0.0)
            return
        if late:
            self.purge(worker, tenant_tag(tenant))
        stored = Stored(
            response_id="r", model_digest=model[1], backend="b", tenant=tenant, epoch=epoch,
            prompt_tokens=1, completion_tokens=1, created_at_s=asked_at_s, surrogates=surrogates,
            whole=meaning(tenant, model, body, epoch).encode(),
        )  # fmt: skip
        tiers.put(key, stored)
        assert late == (tiers.get(key) is None)

    @rule(
        worker=WORKERS,
        tag=st.one_of(
            TENANTS.map(tenant_tag),
            MODELS.map(lambda model: model_tag(model[1])),
            st.sampled_from([surrogate_tag("page"), surrogate_tag("part")]),
            st.just(EVERYTHING),
        ),
    )
    def purge(self, worker, tag):
        async def spread():
            self.workers[worker].purge(tag)
            await asyncio.sleep(0)  # what is said once per turn of the loop is said
            await self.workers[worker].remote.get(b"")
            for tiers in self.workers:  # other hosts look once a second; that second is over
                await tiers.remote._look_for_marks()

        self.run(spread())
        self.purged[tag] = self.now

    @rule(worker=WORKERS)
    def restart(self, worker):
        self.run(self.close_worker(self.workers[worker]))
        self.workers[worker] = self.run(self.open_worker(worker))

    @rule(number=st.integers(0, 40))
    def crowd(self, number):
        """Others' answers push these out."""
        for n in range(5):
            key = canonical_key("e", "crowd", "m", "d", {"n": [number, n]})
            filler = Stored(
                response_id="f", model_digest="d", backend="b", prompt_tokens=1,
                completion_tokens=1, created_at_s=self.now, whole=bytes(20_000), tenant="crowd",
            )  # fmt: skip
            self.workers[0].put(key, filler)

    @invariant()
    def sweep(self):
        self.run(asyncio.sleep(0))

    def teardown(self):
        for tiers in self.workers:
            self.run(self.close_worker(tiers))
        self.host.close()
        self.far_host.close()
        self.loop.close()
        self.folder.cleanup()


def test_no_hit_across_tenants_or_purges(redis_server):
    Walk.url = redis_server.url
    run_state_machine_as_test(Walk, settings=settings(max_examples=25, stateful_step_count=40))
