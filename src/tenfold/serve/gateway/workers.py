"""Several processes that answer as one gateway: made, watched over, ended.

The parent listens once per worker on one port (SO_REUSEPORT, so the kernel spreads connections) and keeps
those sockets open: what a worker that died had not accepted yet is there for the next. It answers nothing
itself. SIGTERM and SIGHUP are passed on; a worker that dies is replaced; when the parent dies, its workers
drain. It knows no gateway: what a worker does is the caller's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from tenfold.errors import InfrastructureError, TenfoldError

log = logging.getLogger("tenfold.gateway")

Work = Callable[[int, socket.socket, Callable[[], None]], None]
"""(number, listening socket, to be called when it is ready) -> returns when it has drained."""

_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_LOOK_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
"""Before a worker that died is replaced; doubled while they go on dying."""
_WELL_AFTER_S = 30.0
"""A worker that lived so long does not count as dying again and again."""


class Workers:
    """Call `run` in a process with one thread and no event loop: the workers are forks of it."""

    def __init__(self, sockets: Sequence[socket.socket], work: Work) -> None:
        self._sockets = sockets
        self._work = work
        self._pids: dict[int, int] = {}
        self._began: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self._pause_s = _FIRST_PAUSE_S
        self._ready: set[int] = set()
        self._said: dict[str, str | None] | None = None
        """Why a worker could not begin."""

    def run(self, on_ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT, and until every worker has drained. `on_ready`: all of them answer.

        Raises InfrastructureError with a worker's own words when one cannot begin.
        """
        self._told, self._tell = os.pipe()
        self._lifeline, self._hold = os.pipe()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            for number in range(len(self._sockets)):
                self._fork(number)
            self._watch(on_ready)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            for end in (self._told, self._tell, self._lifeline, self._hold):
                os.close(end)
        if self._said is not None:
            raise InfrastructureError(
                f"a worker cannot begin: {self._said['error']}", hint=self._said.get("hint")
            )

    def _watch(self, on_ready: Callable[[], None]) -> None:
        announced = ending = False
        while self._pids or (self._due and not ending):
            told = signal.sigtimedwait(_WATCHED, _LOOK_S)
            number = None if told is None else told.si_signo
            if number in (signal.SIGTERM, signal.SIGINT):
                ending = True
                self._pass_on(signal.SIGTERM)
            elif number == signal.SIGHUP:
                self._pass_on(signal.SIGHUP)
            self._reap(ending)
            self._hear()
            if self._said is not None and not ending:
                ending = True
                self._pass_on(signal.SIGTERM)
            if not announced and len(self._ready) == len(self._sockets):
                announced = True
                on_ready()
            for worker, due in list(self._due.items()):
                if not ending and due <= time.monotonic():
                    del self._due[worker]
                    self._fork(worker)

    def _fork(self, worker: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._child(worker)
        self._pids[pid] = worker
        self._began[pid] = time.monotonic()

    def _child(self, worker: int) -> NoReturn:
        """The rest of this process's life."""
        status = 0
        try:
            os.close(self._hold)
            os.close(self._told)
            for number, sock in enumerate(self._sockets):
                if number != worker:
                    sock.close()
            threading.Thread(target=self._await_end, daemon=True).start()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            self._work(worker, self._sockets[worker], lambda: self._report({"ready": str(worker)}))
        except TenfoldError as error:
            self._report({"error": str(error), "hint": error.hint})
            status = error.exit_code
        except BaseException:
            traceback.print_exc()
            status = 70
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _await_end(self) -> None:
        """The parent holds the other end; when it is gone, so are we."""
        with contextlib.suppress(OSError):
            while os.read(self._lifeline, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    def _report(self, said: dict[str, str | None]) -> None:
        line = json.dumps(said).encode()[: select.PIPE_BUF - 1] + b"\n"
        with contextlib.suppress(OSError):
            os.write(self._tell, line)

    def _hear(self) -> None:
        while select.select([self._told], [], [], 0)[0]:
            for line in os.read(self._told, 65536).splitlines():
                with contextlib.suppress(ValueError):
                    said = json.loads(line)
                    if "ready" in said:
                        self._ready.add(int(said["ready"]))
                    elif len(self._ready) < len(self._sockets):
                        self._said = self._said or said

    def _pass_on(self, number: signal.Signals) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _reap(self, ending: bool) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self._pids.pop(pid, None)
            if worker is None or ending:
                continue
            lived_s = time.monotonic() - self._began.pop(pid)
            if lived_s > _WELL_AFTER_S:
                self._pause_s = _FIRST_PAUSE_S
            log.error(
                "worker %d ended (status %d) after %.1f s; another takes its place",
                worker,
                os.waitstatus_to_exitcode(status),
                lived_s,
            )
            self._due[worker] = time.monotonic() + self._pause_s
            self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
