"""The hash chain: one chain whoever writes at once, and no change to it that does not show."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.facts import AuditEntry
from tenfold.ledger import open_ledger
from tenfold.ledger.audit import GENESIS, first_broken, holds, seal
from tenfold.ledger.sql import insert_sql
from tenfold.ledger.tables import codec

words = st.text(max_size=8)
deeds = st.builds(
    AuditEntry,
    at_s=st.floats(0, 2e9),
    actor=words,
    action=words,
    subject=words,
    detail=st.dictionaries(words, st.integers() | words | st.none(), max_size=2),
)


def chain_of(entries: list[AuditEntry]) -> list[AuditEntry]:
    chain, previous = [], GENESIS
    for entry in entries:
        chain.append(seal(entry, previous))
        previous = chain[-1].hash
    return chain


@given(st.lists(deeds, min_size=1, max_size=6), st.data())
def test_every_change_removal_and_reordering_shows(
    entries: list[AuditEntry], data: st.DataObject
) -> None:
    chain = chain_of(entries)
    head = chain[-1].hash
    assert first_broken(chain) is None
    assert holds(chain, head)
    at = data.draw(st.integers(0, len(chain) - 1))
    kind = data.draw(st.sampled_from(["change", "remove", "swap", "insert", "cut off"]))
    forged = chain.copy()
    if kind == "change":
        name = data.draw(st.sampled_from(["at_s", "actor", "action", "subject", "detail", "hash",
                                          "previous"]))  # fmt: skip
        new: object = {"at_s": -1.0, "detail": {"forged": 1}}.get(name, "forged beyond eight")
        forged[at] = dataclasses.replace(chain[at], **{name: new})
    elif kind == "remove":
        del forged[at]
    elif kind == "swap":
        other = data.draw(st.integers(0, len(chain) - 1))
        forged[at], forged[other] = forged[other], forged[at]
    elif kind == "insert":
        forged.insert(at, seal(data.draw(deeds), chain[at].previous))
    else:
        del forged[at:]
    assert holds(forged, head) == (forged == chain)


def test_a_rewritten_chain_is_another_chain() -> None:
    """Whoever can write everything can make it whole again, but not with the same head."""
    entries = [AuditEntry(at_s=n, actor="me", action="a", subject="s") for n in range(5)]
    chain = chain_of(entries)
    rewritten = chain_of([entries[0], *entries[2:]])
    assert first_broken(rewritten) is None
    assert not holds(rewritten, chain[-1].hash)


_CHILD = """
import random, sys, time
from pathlib import Path
from tenfold.ledger import open_ledger
url, number, gate = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
ledger, dice = open_ledger(url), random.Random(int(sys.argv[2]))
print("ready", flush=True)
while not gate.exists():
    time.sleep(0.002)
for turn in range(40):
    ledger.audit(f"p{number}", "deed", f"{turn}", {"n": dice.random()}, float(turn))
    print(turn, flush=True)
    if dice.random() < 0.3:
        time.sleep(dice.random() / 200)
"""


def test_four_processes_one_of_them_killed(shared_url: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    open_ledger(shared_url).close()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, shared_url, str(n), str(gate)],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    outputs: dict[int, list[str]] = {}
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    gate.touch()
    victim = children[0]
    assert victim.stdout is not None
    outputs[0] = [victim.stdout.readline() for _ in range(random.Random(7).randint(3, 9))]
    os.kill(victim.pid, signal.SIGKILL)
    for number, child in enumerate(children):
        assert child.stdout is not None
        outputs.setdefault(number, []).extend(child.stdout.readlines())
        child.wait()
        child.stdout.close()
    assert [child.returncode for child in children[1:]] == [0, 0, 0]
    ledger = open_ledger(shared_url)
    entries = ledger.read(AuditEntry)
    ledger.close()
    assert first_broken(entries) is None
    for number in range(4):
        said = [line.strip() for line in outputs[number] if line.endswith("\n")]
        found = [entry.subject for entry in entries if entry.actor == f"p{number}"]
        assert (
            found[: len(said)] == said
        )  # acknowledged, in order; the killed one may have one more
        assert len(found) - len(said) in ((0, 1) if number == 0 else (0,))


@pytest.mark.postgres
def test_a_server_whose_default_is_strict_isolation(postgres_url: str) -> None:
    strict = postgres_url + "%20-cdefault_transaction_isolation%3Drepeatable%5C%20read"
    ledgers = [open_ledger(strict) for _ in range(3)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(30):
                ledgers[number].audit(f"{number}", "deed", "x", {}, float(n))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    entries = ledgers[0].read(AuditEntry)
    assert len(entries) == 90
    assert first_broken(entries) is None
    for ledger in ledgers:
        ledger.close()


@pytest.mark.postgres
def test_somebody_who_takes_no_lock_is_met_by_trying_again(postgres_url: str) -> None:
    import psycopg

    ledger = open_ledger(postgres_url)
    ledger.audit("me", "deed", "first", {}, 0.0)
    [first] = ledger.read(AuditEntry)
    rude = seal(AuditEntry(at_s=1.0, actor="rude", action="deed", subject="second"), first.hash)
    with psycopg.connect(postgres_url) as other:
        sql = insert_sql(AuditEntry).replace("?", "%s")
        other.execute(sql, codec(AuditEntry).encode(rude))
        thread = threading.Thread(target=ledger.audit, args=("me", "deed", "third", {}, 2.0))
        thread.start()
        time.sleep(0.3)  # it has read the chain's end by then, and waits for our commit
        other.commit()
        thread.join()
    entries = ledger.read(AuditEntry)
    assert [entry.subject for entry in entries] == ["first", "second", "third"]
    assert first_broken(entries) is None
    ledger.close()
