"""Schedulers on real (small) networks, driven without processes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tenfold.models.folder import load_model  # noqa: E402
from tenfold.serve.backends.base import Generation  # noqa: E402
from tenfold.serve.engine.exactness import settle  # noqa: E402
from tenfold.serve.engine.messages import Deltas, Embedded, Failed, Generate  # noqa: E402
from tenfold.serve.engine.network import LlamaNetwork  # noqa: E402
from tenfold.serve.engine.scheduler import Scheduler, SchedulerConfig  # noqa: E402
from tenfold.serve.engine.text import read_text  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Bench:
    """A scheduler and all that it has said, by request."""

    def __init__(self, folder: Path, num_slots: int = 4, clock=None, **config) -> None:
        loaded = load_model(folder)
        with torch.inference_mode():
            self.network = LlamaNetwork(loaded.model, num_slots)
            settle(self.network)
        context = self.network.context_tokens
        self.text = read_text(folder, loaded.config, loaded.tokenizer, context)
        self._clock = {"clock": clock} if clock else {}
        self._config = SchedulerConfig(**config)
        self.reset()

    def reset(self) -> None:
        """A new scheduler on the same weights, so that one costs nothing."""
        self.scheduler = Scheduler(self.network, self.text, self._config, **self._clock)
        for slot in range(self.network.cache.slots):
            self.network.free(slot)
        self.texts: dict[int, str] = defaultdict(str)
        self.last: dict[int, object] = {}
        self.failed: dict[int, object] = {}
        self.embedded: dict[int, Embedded] = {}
        self.steps: list[list[int]] = []

    def ask(self, id: int, **fields) -> None:
        fields = {"temperature": 0.0, "max_tokens": 20, "model": "m", **fields}
        self.handle(Generate(id, Generation(id=str(id), **fields)))

    @torch.inference_mode()
    def handle(self, message) -> None:
        self.scheduler.handle(message)

    @torch.inference_mode()
    def step(self) -> None:
        seen = []
        for reply in self.scheduler.step():
            match reply:
                case Deltas():
                    for delta in reply.deltas:
                        assert delta.id not in self.last, "a piece after the last one"
                        seen.append(delta.id)
                        self.texts[delta.id] += delta.text
                        if delta.finish_reason is not None:
                            self.last[delta.id] = delta
                case Failed():
                    self.failed[reply.id] = reply.fault
                case Embedded():
                    self.embedded[reply.id] = reply
        self.steps.append(seen)

    def run(self) -> None:
        self.step()
        while not self.scheduler.idle:
            self.step()


@pytest.fixture(scope="session")
def shared_bench(model_folder) -> Bench:
    return Bench(model_folder)


@pytest.fixture
def bench(shared_bench) -> Bench:
    shared_bench.reset()
    return shared_bench


@pytest.fixture(scope="session")
def make_bench(model_folder):
    return lambda **settings: Bench(settings.pop("folder", model_folder), **settings)
