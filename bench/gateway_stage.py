"""Who is running during the bench: one upstream, our gateway, and each peer once, started when first needed.

Servers that are not being measured are stopped with SIGSTOP, so that they cannot take the core from those
that are. It knows no figures.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway_ours import start_ours
from gateway_peers import await_answer, begin_peer
from gateway_process import Server, cores, launch
from gateway_upstream import MODEL
from harness import Unavailable


class Stage(contextlib.ExitStack):
    """Holds every process that the bench starts; leaving it ends them and removes their files."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="tenfold-bench-"))
        self.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._servers: dict[str, Server] = {}
        self._begun: dict[str, Server] = {}
        self._refused: dict[str, str] = {}
        self._upstream: Server | None = None
        self._num_started = 0
        self._next_question = 0

    def pin(self) -> None:
        """This process, which reads and waits, goes to the core of the load."""
        os.sched_setaffinity(0, {cores().load})

    @property
    def upstream(self) -> Server:
        if self._upstream is None:
            self.pin()
            process, log = launch(
                [sys.executable, Path(__file__).parent / "gateway_upstream.py"],
                self._folder / "upstream", core=cores().upstream, talks=True,
            )  # fmt: skip
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            self._upstream = Server("upstream", url, MODEL, ["none"], process, said=log)
            self.callback(self._upstream.stop)
        return self._upstream

    def generations(self) -> int:
        """How many the upstream has been asked for so far."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            self.upstream.url + "/count"
        ) as answer:
            return int(json.load(answer)["generations"])

    def questions(self, number: int) -> int:
        """The first of `number` questions that nobody has asked yet in this run."""
        first = self._next_question
        self._next_question += number
        return first

    def ours(self) -> Server:
        """Our gateway with everything on, on one core; the same one for every part that asks."""
        if "ours" not in self._servers:
            self._servers["ours"] = self.enter_context(self.another())
        return self._servers["ours"]

    @contextlib.contextmanager
    def another(self, **settings: Any) -> Iterator[Server]:
        """A gateway of ours with other settings (see `start_ours`), for as long as it is needed."""
        upstream = self.upstream
        self._num_started += 1
        folder = self._folder / f"ours-{self._num_started}"
        settings.setdefault("core", cores().server)
        server = start_ours(upstream.url, state_dir=folder, **settings)
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def peer(self, name: str) -> Server:
        """Started once. Raises Unavailable with the reason, each time it is asked for."""
        if name in self._refused:
            raise Unavailable(self._refused[name])
        if name not in self._servers:
            try:
                with self.alone():
                    server = self._begin(name)
                    await_answer(server)
            except Unavailable as reason:
                self._refused[name] = str(reason)
                raise
            self._servers[name] = server
        return self._servers[name]

    def begin(self, name: str) -> None:
        """Let a slow one start while something else is measured that does not mind."""
        with contextlib.suppress(Unavailable):  # whoever needs it hears why
            self._begin(name)

    def _begin(self, name: str) -> Server:
        if name not in self._begun:
            core = cores().server
            self._begun[name] = begin_peer(name, self.upstream.url, self._folder / name, core)
            self.callback(self._begun[name].stop)
        return self._begun[name]

    @contextlib.contextmanager
    def alone(self, *measured: Server) -> Iterator[None]:
        """Only these run; the other servers stand still until the end."""
        still = [server for server in self._servers.values() if server not in measured]
        for server in still:
            server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for server in still:
                server.signal(signal.SIGCONT)
