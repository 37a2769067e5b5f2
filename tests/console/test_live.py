"""The live stream: what is sent, when, and how a broken connection goes on."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import replace

import httpx

from tenfold.console.live import HEARTBEAT_S, PERIOD_S, Live
from tenfold.core.facts import Event, Metric


@contextmanager
def following(url, **headers):
    """Yields a function that reads the next message of a stream as (id, data)."""
    with httpx.stream("GET", url, headers=headers, timeout=10) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        lines = response.iter_lines()

        def read():
            found = {}
            for line in lines:
                if not line and "data" in found:
                    return found["id"], json.loads(found["data"])
                name, _, value = line.partition(": ")
                found[name] = value

        yield read


def cursor(site):
    """Where a page that is opened now starts to listen."""
    return httpx.get(f"{site.url}/").text.split("after=")[1].split('"')[0]


def event(site, text):
    site.ledger.append([Event(run_id="r-live", asset="base", event=text, at_s=site.now_s)])


def test_only_what_changed_is_sent_again(site):
    after = cursor(site)
    with following(f"{site.url}/live/run?run_id=r-live&after={after}") as read:
        event(site, "warming up")
        _, first = read()
        assert "warming up" in first["append"]["log"]
        site.ledger.append(
            [Metric(key="k-live", run_id="r-live", asset="base", name="loss", value=3.1,
                    unit="nats/token", step=500)]
        )  # fmt: skip
        _, second = read()
    assert "3.1" in second["regions"]["curves"]
    assert {"steps", "results", "head"}.isdisjoint(second["regions"]), "these did not change"
    assert second["append"] == {}


def test_a_broken_connection_goes_on_where_it_was(site):
    url = f"{site.url}/live/run?run_id=r-live&after={cursor(site)}"
    with following(url) as read:
        event(site, "before the break")
        last, _ = read()
    event(site, "during the break")
    with following(url, **{"last-event-id": last}) as read:
        _, message = read()
    assert "during the break" in message["append"]["log"]
    assert "before the break" not in message["append"]["log"]


def test_a_strange_cursor_starts_over(site):
    with following(f"{site.url}/live/run?run_id=r-second&after=%00nonsense") as read:
        _, message = read()
    assert set(message["regions"]) == {"head", "gantt", "curves", "steps", "results"}
    assert "step finished" in message["append"]["log"]


async def collect(live, states, seconds, **clock):
    """Messages of a stream whose cursor walks through `states`, one per look."""
    looks = iter(states)
    last = [next(looks)]

    def look():
        last[0] = next(looks, last[0])
        return last[0]

    found = []

    async def read():
        async for data in live.stream(look, lambda: {"a": last[0]}, lambda after: {}, states[0]):
            found.append(data)

    task = asyncio.create_task(read())
    await asyncio.sleep(seconds)
    live.close()
    await asyncio.wait_for(task, 5)
    return found


def test_many_facts_become_few_messages():
    async def scene():
        live = Live()
        # the cursor moves at every look, far more often than a reader can see
        return await collect(live, [str(n) for n in range(1000)], PERIOD_S * 3.5)

    messages = [m for m in asyncio.run(scene()) if b"event: patch" in m]
    assert 2 <= len(messages) <= 5


def test_a_quiet_stream_beats_and_ends_when_the_server_drains(monkeypatch):
    monkeypatch.setattr("tenfold.console.live.PERIOD_S", 0.01)
    monkeypatch.setattr("tenfold.console.live.HEARTBEAT_S", 0.03)

    async def scene():
        return await collect(Live(), ["x", "x"], 0.2)

    messages = asyncio.run(scene())
    assert messages[0].startswith(b"retry:")
    assert b": still here\n\n" in messages
    assert not [m for m in messages if b"data:" in m]
    assert HEARTBEAT_S < 30, "proxies close a silent stream after 30 to 60 s"


def test_a_view_that_fails_does_not_end_other_streams(site):
    assert httpx.get(f"{site.url}/live/nobody").status_code == 404
    with following(f"{site.url}/live/overview?after={cursor(site)}") as read:
        site.ledger.append([replace(site.ledger.read(Event, limit=1)[0], run_id="r-live")])
        site.ledger.append(
            [Metric(key="k-live", run_id="r-live", asset="base", name="x", value=1.0, step=1)]
        )
        from tenfold.core.facts import RunStep

        step = site.ledger.read(RunStep, run_id="r-live", asset="base")[0]
        site.ledger.put(replace(step, done=step.done + 0.01))
        _, message = read()
    assert "factory" in message["regions"]
