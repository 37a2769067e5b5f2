"""The local engine: steps run in threads of this process, as many at once as there are free cores.

It knows order, cores and failure, not keys or ledgers: making one asset is the attempt's business.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tenfold.core.facts import RunStep
from tenfold.core.graph import Graph, Node

Attempt = Callable[[Node, Sequence[tuple[str, str]]], RunStep]
_PATIENCE_S = 10.0
"""How long an interrupted run waits for its steps to notice."""


@dataclass
class LocalEngine:
    cpu: int
    """Cores to share among steps, 1 or more."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def execute(
        self,
        graph: Graph,
        names: Sequence[str],
        attempt: Attempt,
        *,
        settled: dict[str, RunStep],
        block: Callable[[Node, str], RunStep],
        veto: Callable[[Node, RunStep], str | None],
        keep_going: bool = False,
    ) -> dict[str, RunStep]:
        """Make `names` (in topological order). `settled` holds what is already decided.

        `veto` may say why nothing may be built on a finished asset (a red check); `block` records an
        asset that is not tried. A failure blocks what needs it; without `keep_going`, everything else
        that has not started too. Raises KeyboardInterrupt after asking running steps to stop.
        """
        done = dict(settled)
        vetoed: dict[str, str] = {}
        for name, row in done.items():
            self._note_veto(graph.nodes[name], row, veto, vetoed)
        finished: queue.Queue[tuple[str, RunStep | BaseException]] = queue.Queue()
        running: dict[str, int] = {}
        threads: dict[str, threading.Thread] = {}
        failed = False
        missing = {
            name: len({need for need in graph.nodes[name].needs if need not in done})
            for name in names
            if name not in done
        }
        ready = deque(name for name, count in missing.items() if count == 0)
        wanted = frozenset(missing)

        def settle(name: str, row: RunStep) -> None:
            done[name] = row
            for user in graph.consumers[name]:
                if user in wanted:
                    missing[user] -= 1
                    if missing[user] == 0:
                        ready.append(user)

        try:
            while ready or running:
                too_big = []
                while ready:
                    name = ready.popleft()
                    node = graph.nodes[name]
                    reason = self._blocked(node, done, vetoed)
                    if reason is None and failed and not keep_going:
                        reason = "not started: another step failed"
                    if reason is not None:
                        settle(name, block(node, reason))
                        continue
                    cores = min(node.resources.cpu, self.cpu)
                    if running and sum(running.values()) + cores > self.cpu:
                        too_big.append(name)
                        continue
                    running[name] = cores
                    threads[name] = self._start(node, done, attempt, finished)
                ready.extend(too_big)
                if not running:
                    continue
                name, outcome = finished.get()
                del running[name], threads[name]
                if isinstance(outcome, BaseException):
                    raise outcome
                failed = failed or outcome.status == "failed"
                self._note_veto(graph.nodes[name], outcome, veto, vetoed)
                settle(name, outcome)
        except BaseException:
            self.stopping.set()
            until_s = time.monotonic() + _PATIENCE_S
            for thread in threads.values():
                thread.join(max(0.0, until_s - time.monotonic()))
            raise
        return done

    def _start(
        self,
        node: Node,
        done: dict[str, RunStep],
        attempt: Attempt,
        finished: queue.Queue[tuple[str, RunStep | BaseException]],
    ) -> threading.Thread:
        inputs = [(need, str(done[need].digest)) for need in node.needs]

        def work() -> None:
            try:
                finished.put((node.name, attempt(node, inputs)))
            except BaseException as error:
                finished.put((node.name, error))

        # A daemon: a step that does not notice an interruption must not keep the process alive. What it
        # leaves behind is a staging folder, which the next garbage collection sweeps.
        thread = threading.Thread(target=work, name=f"step {node.name}", daemon=True)
        thread.start()
        return thread

    def _blocked(self, node: Node, done: dict[str, RunStep], vetoed: dict[str, str]) -> str | None:
        for need in node.needs:
            if need in vetoed:
                return vetoed[need]
            if done[need].status in ("failed", "blocked"):
                return f"{need} {'failed' if done[need].status == 'failed' else 'is blocked'}"
        return None

    def _note_veto(
        self,
        node: Node,
        row: RunStep,
        veto: Callable[[Node, RunStep], str | None],
        vetoed: dict[str, str],
    ) -> None:
        if row.status in ("ran", "skipped"):
            reason = veto(node, row)
            if reason is not None:
                vetoed[node.name] = f"{node.name} has a red check: {reason}"
