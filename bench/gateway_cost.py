"""CPU time of an exact hit and of a proxied request: ours and a peer's, in alternating rounds.

The upstream's counter proves what was measured: a round of hits must not reach it, a proxied round must
reach it with every request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway_load import CONNECTIONS, fill, wrk
from gateway_process import Server
from gateway_stage import Stage
from harness import Figure, Figures, spread

NUM_HITS = 64
"""Different questions in a round of hits."""


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_us: float
    """Of the process tree, per request."""
    requests: int
    per_s: float


def hits(stage: Stage, server: Server, seconds: int, first: int) -> Cost:
    """A round of questions that are all answered from the cache; they are asked once before."""
    fill(server, first, NUM_HITS)
    before = stage.generations()
    cost = _cost(server, seconds, first=first, distinct=NUM_HITS)
    reached = stage.generations() - before
    if reached:
        raise RuntimeError(f"{reached} hits of {server.name} reached the upstream")
    return cost


def proxied(stage: Stage, server: Server, seconds: int, first: int) -> Cost:
    """A round of questions that nobody has asked before."""
    before = stage.generations()
    cost = _cost(server, seconds, first=first)
    reached = stage.generations() - before
    if not cost.requests <= reached <= cost.requests + 2 * CONNECTIONS:
        raise RuntimeError(f"{cost.requests} answers of {server.name}, {reached} generations")
    return cost


def _cost(server: Server, seconds: int, *, first: int, distinct: int = 0) -> Cost:
    before_s = server.cpu_s()
    run = wrk(server, seconds, first=first, distinct=distinct)
    server.rest()
    if seconds > 1:
        time.sleep(server.settle_s)  # what it does later for these is theirs too
    used_s = server.cpu_s() - before_s
    if run.failed:
        raise RuntimeError(f"{server.name}: {run.failed} of {run.requests} requests failed")
    return Cost(used_s / (run.requests + CONNECTIONS / 2) * 1e6, run.requests, run.per_s)


Kind = Callable[[Stage, Server, int, int], Cost]
_ROOM = 10_000_000
"""Questions set aside for a round: more than any server answers in it."""


def compare(
    stage: Stage, quick: bool, kind: Kind, peer_name: str, figure: str, *, what: str
) -> Figures:
    """`figure` is the peer's CPU time over ours, each the smallest of its rounds; both beside it."""
    theirs, ours = stage.peer(peer_name), stage.ours()
    rounds, seconds = (1, 1) if quick else (7, 5)
    slow = peer_name == "litellm"
    ours_us: list[float] = []
    theirs_us: list[float] = []
    with stage.alone(theirs, ours):
        if slow and not quick:  # its first requests cost more than the others
            wrk(theirs, 5, first=stage.questions(_ROOM))
            theirs.rest()
        for _ in range(rounds):
            ours_us.append(kind(stage, ours, seconds, stage.questions(_ROOM)).cpu_us)
            theirs_us.append(
                kind(
                    stage,
                    theirs,
                    seconds * (2 if slow and not quick else 1),
                    stage.questions(_ROOM),
                ).cpu_us
            )
    how = (
        f"{rounds} alternating rounds of {seconds} s, {CONNECTIONS} connections of wrk, one core each, CPU "
        f"time of the whole process tree over requests answered (those under way at the end count half)"
    )
    if quick:
        how = f"SHORTENED, without the events that are written later: {how}"
    ratios = [peer / own for own, peer in zip(ours_us, theirs_us, strict=True)]
    yield figure, Figure(
        value=min(theirs_us) / min(ours_us), unit="x", n=rounds, low=min(ratios), high=max(ratios),
        peer=theirs.name,
        method=f"CPU time of {theirs.name} per {what} over ours, smallest of each (more than 1: ours costs "
        f"less); the range is that of the rounds; {how}. Ours: {ours.on}. Theirs: {theirs.on}",
    )  # fmt: skip
    stem = figure.partition("_vs_")[0]
    yield (
        f"{figure}.ours_us",
        spread(ours_us, "us", f"ours per {what}, beside {theirs.name}", take=min),
    )
    yield (
        f"{figure}.peer_us",
        spread(theirs_us, "us", f"{theirs.name} per {what}", take=min, peer=theirs.name),
    )
    if stem == "exact_hit" and not slow:
        yield from _latency(stage, quick, ours, theirs)


def _latency(stage: Stage, quick: bool, ours: Server, theirs: Server) -> Figures:
    """One connection: how long a hit takes when nothing else is asked."""
    rounds = 1 if quick else 7
    first = stage.questions(_ROOM)
    found: dict[str, list[float]] = {"ours": [], "peer": []}
    with stage.alone(ours, theirs):
        for _ in range(rounds):
            for name, server in (("ours", ours), ("peer", theirs)):
                fill(server, first, NUM_HITS)
                found[name].append(
                    wrk(server, 1, first=first, distinct=NUM_HITS, connections=1).p50_us
                )
    how = f"median latency of an exact hit on one connection, smallest of {rounds} rounds of 1 s"
    yield "exact_hit_p50_us", spread(found["ours"], "us", how, take=min, peer=theirs.name)
    yield "exact_hit_p50_us.peer", spread(found["peer"], "us", f"{theirs.name}: {how}", take=min)


def exact_hit_vs_litellm(stage: Stage, quick: bool) -> Figures:
    return compare(stage, quick, hits, "litellm", "exact_hit_vs_litellm", what="exact hit")


def exact_hit_vs_nginx(stage: Stage, quick: bool) -> Figures:
    return compare(stage, quick, hits, "nginx", "exact_hit_vs_nginx", what="exact hit")


def proxied_vs_litellm(stage: Stage, quick: bool) -> Figures:
    return compare(stage, quick, proxied, "litellm", "proxied_vs_litellm", what="proxied request")


def proxied_vs_vllm_router(stage: Stage, quick: bool) -> Figures:
    return compare(
        stage, quick, proxied, "vllm-router", "proxied_vs_vllm_router", what="proxied request"
    )


def proxied_vs_smg(stage: Stage, quick: bool) -> Figures:
    return compare(stage, quick, proxied, "smg", "proxied_vs_smg", what="proxied request")
