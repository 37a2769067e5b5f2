"""What every ledger promises, method by method."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest

from tenfold.core.facts import (
    AliasMove,
    AuditEntry,
    EnergyWindow,
    Event,
    Metric,
    Partial,
    RequestEvent,
    Run,
    RunStep,
    StepResult,
    Verdict,
    VirtualKey,
)
from tenfold.errors import AliasConflict, FactRefused, LedgerError, UsageError
from tenfold.ledger.audit import first_broken
from tenfold.ledger.sql import SqlLedger

MakeResult = Callable[..., StepResult]


def event(number: int, run_id: str = "r") -> Event:
    return Event(run_id=run_id, asset="a", event="e", fields={"n": number})


def metric(value: float, *, step: int | None = None, key: str = "k") -> Metric:
    return Metric(key=key, run_id="r", asset="a", name="m", value=value, step=step)


def request(
    identity: str, *, at_s: float = 0, tier: str = "model", **changes: object
) -> RequestEvent:
    given: dict = {
        "id": identity, "at_s": at_s, "tenant": "t", "key_name": "k", "endpoint": "/v1/x",
        "model": "m", "model_digest": "d", "backend": "b", "tier": tier, "status": 200,
    }  # fmt: skip
    return RequestEvent(**(given | changes))


def move(digest: str | None, previous: str | None = None, alias: str = "m@c") -> AliasMove:
    return AliasMove(
        alias=alias, digest=digest, previous=previous, asset="a", key="k", actor="me",
        reason="why", at_s=1.0,
    )  # fmt: skip


def test_a_commit_is_everything_or_nothing(ledger: SqlLedger, make_result: MakeResult) -> None:
    ledger.put(Partial(key="k", output=make_result().output, step=1, at_s=0))
    row = RunStep(run_id="r", asset="a", step="s", status="ran", key="k")
    verdict = Verdict(key="k", run_id="r", asset="a", rule="m >= 0", metric="m", value=1.0,
                      state="green", reason="", at_s=0)  # fmt: skip
    with pytest.raises(Exception, match=r".*"):
        ledger.commit(make_result(), [metric(1.0), "no metric"], [verdict], row)  # type: ignore
    assert ledger.result("k") is None
    assert ledger.partial("k") is not None
    assert ledger.read(Metric) == []
    ledger.commit(make_result(), [metric(1.0)], [verdict], row)
    assert ledger.result("k") == make_result()
    assert ledger.partial("k") is None
    assert [m.value for m in ledger.read(Metric, key="k")] == [1.0]
    assert [v.state for v in ledger.read(Verdict, key="k")] == ["green"]
    assert ledger.read(RunStep, run_id="r") == [row]


def test_manifests_by_digest(ledger: SqlLedger, make_result: MakeResult) -> None:
    result = make_result()
    assert ledger.manifest(result.output.digest) is None
    ledger.commit(result)
    assert ledger.manifest(result.output.digest) == result.output


def test_another_output_of_the_same_key_takes_its_place_but_both_stay(
    ledger: SqlLedger, make_result: MakeResult
) -> None:
    first = make_result()
    second = make_result(
        output=dataclasses.replace(first.output, meta={"other": 1}), finished_at_s=2.0
    )
    ledger.commit(first)
    ledger.commit(second)
    ledger.commit(second)
    assert ledger.result("k") == second
    assert ledger.manifest(first.output.digest) == first.output
    assert len(ledger.read(StepResult, key="k")) == 2


def test_current_is_what_the_newest_run_settled_on(
    ledger: SqlLedger, make_result: MakeResult
) -> None:
    old = make_result("old", finished_at_s=1.0)
    new = make_result("new", finished_at_s=2.0)
    assert ledger.current("f", "a") is None
    ledger.commit(old)
    ledger.commit(new)
    assert ledger.current("f", "a") == new  # no run has spoken: the newest made

    def run(identity: str, at_s: float, *rows: tuple[str, StepResult | None], factory: str = "f"):
        ledger.put(
            Run(
                id=identity,
                factory=factory,
                status="succeeded" if all(r for _, r in rows) else "failed",
                started_at_s=at_s,
            ),
            *(
                RunStep(run_id=identity, asset=name, step="s", status="skipped" if r else "failed",
                        key=r.key if r else "x", digest=r.output.digest if r else None)
                for name, r in rows
            ),
        )  # fmt: skip

    run("1", 10.0, ("a", new))
    run("2", 20.0, ("a", old), ("renamed", new))
    run("3", 30.0, ("a", None))  # failed: settled on nothing
    run("4", 40.0, ("a", new), factory="another")
    assert ledger.current("f", "a") == old
    assert ledger.current("f", "renamed") == new
    assert ledger.current("another", "a") == new
    assert ledger.settled("f") == [old, new]  # of run 2: run 3 failed
    assert ledger.settled("another") == [new]
    assert ledger.settled("nobody") == []
    assert ledger.current("f", "nope") is None
    ledger.forget(["old"])
    assert ledger.current("f", "a") == new


def test_put_replaces_by_identity_all_or_none(ledger: SqlLedger) -> None:
    run = Run(id="r", factory="f", status="running", started_at_s=1.0)
    ledger.put(run, RunStep(run_id="r", asset="a", step="s", status="waiting"))
    done = dataclasses.replace(run, status="succeeded", finished_at_s=2.0)
    ledger.put(done, RunStep(run_id="r", asset="a", step="s", status="ran", attempt=2))
    assert ledger.read(Run) == [done]
    assert [(s.status, s.attempt) for s in ledger.read(RunStep)] == [("ran", 2)]
    with pytest.raises(Exception, match=r".*"):
        ledger.put(run, object())
    assert ledger.read(Run) == [done]
    ledger.put()


def test_append_is_all_or_none(ledger: SqlLedger) -> None:
    ledger.append([])
    with pytest.raises(Exception, match=r".*"):
        ledger.append([event(1), object()])
    assert ledger.read(Event) == []
    ledger.append([event(1), metric(1.0, step=3), request("r1")])
    assert (
        len(ledger.read(Event)) == len(ledger.read(Metric)) == len(ledger.read(RequestEvent)) == 1
    )


def test_reading_along(ledger: SqlLedger) -> None:
    ledger.append([event(n) for n in range(5)])
    found = ledger.read(Event, run_id="r")
    assert [e.fields["n"] for e in found] == [0, 1, 2, 3, 4]
    assert [e.seq for e in found] == sorted(e.seq for e in found)
    assert ledger.read(Event, after=found[2].seq) == found[3:]
    assert ledger.read(Event, limit=2) == found[:2]
    assert ledger.read(Event, newest=True, limit=2) == found[:2:-1]
    assert ledger.read(Event, after=found[4].seq) == []


def test_conditions(ledger: SqlLedger) -> None:
    ledger.append([event(1, "r1"), event(2, "r2"), event(3, "r3")])
    ledger.append([metric(1.0), metric(2.0, step=0), metric(3.0, step=1)])
    assert [e.fields["n"] for e in ledger.read(Event, run_id=["r1", "r3"])] == [1, 3]
    assert ledger.read(Event, run_id=[]) == []
    assert [m.value for m in ledger.read(Metric, step=None)] == [1.0]
    assert [m.value for m in ledger.read(Metric, step=[0, 1], key="k")] == [2.0, 3.0]
    with pytest.raises(LedgerError, match="no field 'nope'"):
        ledger.read(Event, nope=1)
    with pytest.raises(LedgerError):
        ledger.read(Event, **{"run_id = '' OR 1=1 --": 1})


def test_many_keys_in_one_question(ledger: SqlLedger) -> None:
    ledger.append([metric(float(n), key=f"k{n}") for n in range(0, 3000, 100)])
    assert len(ledger.read(Metric, key=[f"k{n}" for n in range(3000)])) == 30


def test_a_point_recorded_again_replaces_itself(ledger: SqlLedger) -> None:
    """A step that goes on from a checkpoint reports some points twice."""
    ledger.append([metric(1.0), metric(2.0, step=1), metric(3.0, step=2)])
    ledger.append([metric(2.5, step=1), metric(1.5)])
    assert {m.step: m.value for m in ledger.read(Metric)} == {None: 1.5, 1: 2.5, 2: 3.0}


def test_a_request_is_recorded_once(ledger: SqlLedger) -> None:
    ledger.append([request("r1"), request("r2")])
    ledger.append([request("r1", status=500), request("r3")])  # a retried batch
    assert {r.id: r.status for r in ledger.read(RequestEvent)} == {"r1": 200, "r2": 200, "r3": 200}


def columns_of(facts_: list[RequestEvent]) -> dict[str, list[object]]:
    names = [f.name for f in dataclasses.fields(RequestEvent) if f.name != "seq"]
    return {name: [getattr(fact, name) for fact in facts_] for name in names}


@pytest.mark.parametrize("count", [0, 1, 7, 20, 199, 467])
def test_columns_are_what_single_facts_are(ledger: SqlLedger, count: int) -> None:
    """Whatever mixture of rows per statement a dialect makes of them."""
    awkward = ['"', "\\", "{,}", "NULL", "", "ä\n\t'", "\ud800 lone", "nul\0"]
    given = [
        request(
            f"r{n}", at_s=n / 7, stream=n % 2 == 0, ttft_ms=None if n % 3 else n / 3,
            error=None if n % 5 else awkward[n // 5 % len(awkward)],
            cached_from="" if n % 4 == 0 else None, prompt_tokens=n, joules=1e-300 * n,
        )
        for n in range(count)
    ]  # fmt: skip
    ledger.append_columns({RequestEvent: columns_of(given)})
    found = ledger.read(RequestEvent)
    assert [event.seq for event in found] == sorted(event.seq for event in found)
    ledger.append([dataclasses.replace(event, id="s" + event.id) for event in given])
    singly = [event for event in ledger.read(RequestEvent) if event.id.startswith("s")]
    bare = [dataclasses.replace(event, seq=0) for event in found]
    assert bare == [dataclasses.replace(event, id=event.id[1:], seq=0) for event in singly]
    assert len(bare) == count


def test_columns_again_change_nothing(ledger: SqlLedger) -> None:
    first = [request(f"r{n}") for n in range(300)]
    ledger.append_columns({RequestEvent: columns_of(first)})
    again = [request(f"r{n}", status=500) for n in range(250, 450)]
    ledger.append_columns({RequestEvent: columns_of(again)})
    statuses = {event.id: event.status for event in ledger.read(RequestEvent)}
    assert statuses == {f"r{n}": 200 if n < 300 else 500 for n in range(450)}


def test_columns_are_all_or_none_and_say_whose_fault_it_is(ledger: SqlLedger) -> None:
    good = columns_of([request(f"r{n}") for n in range(30)])
    window = {"source": ["live"], "started_at_s": [0.0], "ended_at_s": [1.0], "joules": [1.0],
              "idle_joules": [0.0], "requests": [1], "method": ["x"]}  # fmt: skip
    for wrong in ({"prompt_tokens": [1] * 29 + [2**63]}, {"status": [200] * 29 + [None]},
                  {"tenant": ["t"] * 29 + [None]}):  # fmt: skip
        with pytest.raises(FactRefused):
            ledger.append_columns({EnergyWindow: {**window, "uncertainty": [0.1]},
                                   RequestEvent: {**good, **wrong}})  # fmt: skip
    for fault in ({"nope": [1] * 30}, {"tenant": ["t"]}):
        with pytest.raises(UsageError):
            ledger.append_columns({RequestEvent: {**good, **fault}})
    with pytest.raises(UsageError, match="uncertainty"):
        ledger.append_columns({EnergyWindow: window})
    assert ledger.read(RequestEvent) == []
    assert ledger.read(EnergyWindow) == []
    ledger.append_columns({RequestEvent: good, EnergyWindow: {**window, "uncertainty": [0.1]}})
    assert len(ledger.read(RequestEvent)) == 30
    assert [w.usd for w in ledger.read(EnergyWindow)] == [0.0]  # a default


def test_aliases_move_by_compare_and_set(ledger: SqlLedger) -> None:
    assert ledger.alias("m@c") is None
    with pytest.raises(AliasConflict, match="nothing"):
        ledger.move_alias(move("d1", "d0"), "d0")
    first = ledger.move_alias(move("d1"), None)
    assert ledger.alias("m@c") == first
    assert first.seq > 0
    with pytest.raises(AliasConflict):
        ledger.move_alias(move("d2"), None)
    ledger.move_alias(move("d2", "d1"), "d1")
    ledger.move_alias(move("x", alias="other@c"), None)
    assert [m.digest for m in ledger.read(AliasMove, alias="m@c")] == ["d1", "d2"]
    actions = [(e.action, e.subject, e.detail["to"]) for e in ledger.read(AuditEntry)]
    assert actions == [("alias.move", "m@c", "d1"), ("alias.move", "m@c", "d2"),
                       ("alias.move", "other@c", "x")]  # fmt: skip


def test_leases(ledger: SqlLedger) -> None:
    assert ledger.acquire("k", "me", 10, 100.0) is None
    assert ledger.acquire("k", "you", 10, 105.0) == "me"
    assert ledger.acquire("k", "me", 10, 108.0) is None  # renewed
    assert ledger.acquire("k", "you", 10, 117.0) == "me"
    assert ledger.acquire("other", "you", 10, 105.0) is None
    assert ledger.acquire("k", "you", 10, 118.5) is None  # ran out
    assert ledger.acquire("k", "me", 10, 119.0) == "you"
    ledger.release("k", "me")  # not mine to give
    assert ledger.acquire("k", "me", 10, 119.0) == "you"
    ledger.release("k", "you")
    assert ledger.acquire("k", "me", 10, 119.0) is None


def test_the_audit_shows_every_kind_of_tampering(ledger: SqlLedger) -> None:
    for n in range(4):
        ledger.audit("me", "deed", f"subject {n}", {"n": n, "text": "ä"}, 1.25 * n)
    entries = ledger.read(AuditEntry)
    assert first_broken(entries) is None
    changed = dataclasses.replace(entries[1], actor="you")
    assert first_broken([entries[0], changed, *entries[2:]]) == changed
    assert first_broken([entries[0], *entries[2:]]) == entries[2]
    assert first_broken([entries[1], entries[0], *entries[2:]]) == entries[1]
    assert first_broken(entries[1:]) == entries[1]
    with ledger.transaction() as cursor:
        cursor.execute("UPDATE audit SET detail = ? WHERE seq = ?", ('{"n":9}', entries[2].seq))
    assert first_broken(ledger.read(AuditEntry)).seq == entries[2].seq  # type: ignore[union-attr]


def test_traffic_adds_up(ledger: SqlLedger) -> None:
    ledger.append(
        [
            request("1", at_s=100.0, latency_ms=5, prompt_tokens=3, usd=0.5),
            request("2", at_s=109.9, latency_ms=7, completion_tokens=4, joules=2.0),
            request("3", at_s=105.0, tier="exact", latency_ms=1),
            request("4", at_s=110.0, status=500, source="rehearsal"),
            request("0", at_s=99.0),
        ]
    )
    rows = ledger.traffic(100.0, 10)
    assert [(r.bucket_at_s, r.tier, r.requests, r.errors) for r in rows] == [
        (100, "exact", 1, 0),
        (100, "model", 2, 0),
        (110, "model", 1, 1),
    ]
    assert (rows[1].latency_ms_sum, rows[1].latency_ms_max) == (12, 7)
    assert (rows[1].prompt_tokens, rows[1].completion_tokens) == (3, 4)
    assert (rows[1].usd, rows[1].joules) == (0.5, 2.0)
    assert [r.requests for r in ledger.traffic(0, 10, source="rehearsal")] == [1]
    assert ledger.traffic(1000, 10) == []
    assert ledger.traffic(100.0, 0.25)[0].bucket_at_s == 100.0


def test_partials_and_forgetting(ledger: SqlLedger, make_result: MakeResult) -> None:
    output = make_result().output
    ledger.put(Partial(key="k", output=output, step=1, at_s=0))
    ledger.put(Partial(key="k", output=output, step=2, at_s=1))
    found = ledger.partial("k")
    assert found is not None
    assert found.step == 2
    assert ledger.partial("nope") is None
    for n in range(1203):  # more than one batch
        ledger.commit(make_result(f"k{n}"), [metric(1.0, key=f"k{n}")]) if n % 300 == 0 else None
    ledger.audit("me", "deed", "x", {}, 0)
    ledger.forget([f"k{n}" for n in range(1201)])
    assert ledger.read(StepResult) == []
    assert ledger.partial("k") is not None
    ledger.forget(["k"])
    assert ledger.partial("k") is None
    assert ledger.read(Metric) == []
    assert len(ledger.read(AuditEntry)) == 1
    ledger.forget([])


def test_keys_and_energy(ledger: SqlLedger) -> None:
    key = VirtualKey(name="n", tenant="t", sha256="ab", created_at_s=1.0)
    ledger.put(key)
    ledger.put(dataclasses.replace(key, revoked_at_s=2.0))
    assert [k.revoked_at_s for k in ledger.read(VirtualKey)] == [2.0]
    window = EnergyWindow(source="live", started_at_s=0, ended_at_s=1, joules=2, idle_joules=1,
                          requests=3, method="rapl", uncertainty=0.1)  # fmt: skip
    ledger.append([window, window])
    assert len(ledger.read(EnergyWindow, source="live")) == 2


def test_threads_share_a_ledger(ledger: SqlLedger) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(20):
                ledger.append([event(n, f"r{number}")])
                assert len(ledger.read(Event, run_id=f"r{number}")) == n + 1
                ledger.audit("me", "deed", "x", {}, n)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert first_broken(ledger.read(AuditEntry)) is None


def test_a_failed_transaction_leaves_a_working_ledger(ledger: SqlLedger) -> None:
    with pytest.raises(LedgerError), ledger.transaction() as cursor:
        cursor.execute("INSERT INTO nowhere VALUES (1)")
    ledger.append([event(1)])

    def interrupted() -> None:
        with ledger.transaction() as cursor:
            cursor.execute("DELETE FROM events")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    ledger.append([event(2)])
    assert len(ledger.read(Event)) == 2


def test_closed_is_closed(ledger: SqlLedger) -> None:
    ledger.close()
    ledger.close()
