"""The local engine: steps run in threads of this process, as many at once as there are free cores.

It knows order, cores and failure, not keys or ledgers: making one asset is the attempt's business.
"""

from __future__ import annotations

import queue
import threading
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
        waiting = [name for name in names if name not in done]
        finished: queue.Queue[tuple[str, RunStep | BaseException]] = queue.Queue()
        running: dict[str, int] = {}
        threads: list[threading.Thread] = []
        failed = False
        try:
            while waiting or running:
                for name in list(waiting):
                    node = graph.nodes[name]
                    if any(need not in done for need in node.needs):
                        continue
                    reason = self._blocked(node, done, vetoed)
                    if reason is None and failed and not keep_going:
                        reason = "not started: another step failed"
                    if reason is not None:
                        waiting.remove(name)
                        done[name] = block(node, reason)
                        continue
                    cores = min(node.resources.cpu, self.cpu)
                    if sum(running.values()) + cores > self.cpu and running:
                        continue
                    waiting.remove(name)
                    running[name] = cores
                    threads.append(self._start(node, done, attempt, finished))
                if not running:
                    continue
                name, outcome = finished.get()
                del running[name]
                if isinstance(outcome, BaseException):
                    raise outcome
                done[name] = outcome
                failed = failed or outcome.status == "failed"
                self._note_veto(graph.nodes[name], outcome, veto, vetoed)
        except BaseException:
            self.stopping.set()
            for thread in threads:
                thread.join(_PATIENCE_S)
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
