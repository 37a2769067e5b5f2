"""The engine process: loads a model, then answers frames on a socket until the other side hangs up.

A reader thread fills the inbox so that a cancel is seen before the next step; everything else happens on
the main thread. The process never outlives the one that started it: the socket's end tells it, and for the
case that a forked sibling keeps the socket open, so does the parent's process id.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn

from tenfold.errors import TenfoldError
from tenfold.need import need
from tenfold.serve.backends.base import ModelCard
from tenfold.serve.engine.messages import Dead, Ready, Request, fault_of, frame, receive, requests

if TYPE_CHECKING:
    from tenfold.serve.engine.scheduler import Scheduler

_PARENT_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    folder: Path
    name: str
    digest: str = ""
    num_slots: int = 8
    """Requests that run at once. 1 or more."""
    max_waiting: int = 256
    """Requests that wait for a slot; more are refused. 0 or more."""
    context_tokens: int | None = None
    """None: all that the model was made for."""
    num_threads: int = 1
    """One is fastest for small models and leaves the other cores to the gateway."""
    parent_pid: int | None = None
    """End when this is no longer the parent."""


def serve(config: ServerConfig, line: socket.socket) -> int:
    """Run until the line is closed; the exit code. What goes wrong is said on the line, as `Dead`: a model
    that cannot be loaded, or a fault in here, which also leaves its traceback on stderr."""
    if config.parent_pid is not None:
        threading.Thread(target=_watch_parent, args=(config.parent_pid,), daemon=True).start()
    try:
        torch = need("torch", extra="train", why="to run a model in the embedded engine")
        torch.set_num_threads(config.num_threads)
        with torch.inference_mode():
            scheduler, ready = _load(config)
            line.sendall(frame(ready))
            gc.collect()
            gc.freeze()  # what was loaded lives as long as the process: later collections skip it
            _loop(scheduler, line)
    except (BrokenPipeError, ConnectionResetError):
        return 0  # the gateway is gone; nobody is left to tell
    except Exception as error:
        if not isinstance(error, TenfoldError):
            traceback.print_exc()
        line.sendall(frame(Dead(fault_of(error))))
        return 1


def _load(config: ServerConfig) -> tuple[Scheduler, Ready]:
    """The scheduler with everything below it, and the message that says so."""
    from tenfold.models.folder import load_model
    from tenfold.serve.engine.exactness import settle
    from tenfold.serve.engine.network import LlamaNetwork
    from tenfold.serve.engine.scheduler import Scheduler, SchedulerConfig
    from tenfold.serve.engine.text import read_text

    loaded = load_model(config.folder)
    network = LlamaNetwork(loaded.model, config.num_slots, config.context_tokens)
    text = read_text(config.folder, loaded.config, loaded.tokenizer, network.context_tokens)
    settle(network)
    card = ModelCard(
        name=config.name,
        digest=config.digest,
        context_tokens=network.context_tokens,
        created_at_s=int((config.folder / "config.json").stat().st_mtime),
    )
    scheduler = Scheduler(network, text, SchedulerConfig(max_waiting=config.max_waiting))
    return scheduler, Ready(card, config.num_slots, network.exact)


def _loop(scheduler: Scheduler, line: socket.socket) -> NoReturn:
    inbox: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_read, args=(line, inbox), daemon=True).start()
    while True:
        if scheduler.idle:
            scheduler.handle(inbox.get())
        while not inbox.empty():
            scheduler.handle(inbox.get())
        replies = scheduler.step()
        if replies:
            frames = b"".join(map(frame, replies))
            scheduler.meter.pause()  # a gateway that is slow to read must not make answers look dear
            line.sendall(frames)


def _read(line: socket.socket, inbox: SimpleQueue[Request]) -> None:
    """Frames into the inbox; at the end of the line, the end of the process, in the middle of a step too:
    nobody can be told the result."""
    try:
        while (body := receive(line)) is not None:
            inbox.put(requests.decode(body))
    except OSError:
        pass
    finally:
        os._exit(0)


def _watch_parent(pid: int) -> None:
    while os.getppid() == pid:
        time.sleep(_PARENT_POLL_S)
    os._exit(0)
