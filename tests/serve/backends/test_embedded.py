"""The embedded backend with its real child process: streams, cancels, crashes and restarts."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import aclosing

import pytest

pytest.importorskip("torch")

from tenfold.errors import BackendError, ConfigError, InputError, UnknownName
from tenfold.serve.backends.base import Generation, Message, PromptTooLong
from tenfold.serve.backends.embedded import EmbeddedBackend, EmbeddedConfig

LONG = {"temperature": 1.5, "max_tokens": 140, "prompt": "E"}


def request(**fields) -> Generation:
    given = {"id": "same", "model": "tiny", "prompt": "The class", "temperature": 0.0}
    return Generation(**{**given, "max_tokens": 24, **fields})


async def collect(backend, **fields):
    return [piece async for piece in backend.generate(request(**fields))]


def text(pieces) -> str:
    return "".join(piece.text for piece in pieces)


def running(pid: int) -> bool:
    """A zombie does not run."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def started(folder, **config):
    backend = EmbeddedBackend(
        folder, model="tiny", digest="d" * 8, config=EmbeddedConfig(num_slots=4, **config)
    )
    await backend.start()
    try:
        yield backend
    finally:
        pids = backend.pids()
        await backend.stop()
        assert not any(map(running, pids)), "the engine outlived its backend"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_many_streams_over_one_line(model_folder, loop):
    loops = asyncio if loop == "asyncio" else pytest.importorskip("uvloop")

    async def main():
        async with started(model_folder) as backend:
            (card,) = backend.cards()
            assert (card.name, card.digest, card.context_tokens) == ("tiny", "dddddddd", 160)
            assert backend.ready.exact
            prompts = ["The class", "你好", "user: what", "Ein Stück Kuchen"]
            alone = [await collect(backend, prompt=prompt) for prompt in prompts]
            seeded = await collect(backend, temperature=1.3, seed=-(2**70))
            together = await asyncio.gather(
                *(collect(backend, prompt=prompt) for prompt in prompts * 3),
                collect(backend, temperature=1.3, seed=-(2**70)),
            )
            for pieces, wanted in zip(together, [*alone * 3, seeded], strict=True):
                assert text(pieces) == text(wanted)
                *body, last = pieces
                assert all(piece.finish_reason is None and piece.usage is None for piece in body)
                assert last.usage == wanted[-1].usage
                assert last.finish_reason in ("stop", "length")
            everything = [*alone, seeded, *together]
            shares = sum(pieces[-1].compute_s for pieces in everything)
            assert shares == pytest.approx(backend.load.busy_s, rel=1e-9)
            assert (backend.load.num_running, backend.load.num_waiting) == (0, 0)
            unseeded = [text(await collect(backend, **LONG)) for _ in range(2)]
            assert unseeded[0] != unseeded[1]

    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        runner.run(main())


def test_a_conversation_is_answered_and_faults_are_the_contract_s(model_folder):
    async def main():
        async with started(model_folder) as backend:
            talk = (Message("user", "what is that?"),)
            assert (await collect(backend, prompt=None, messages=talk))[-1].usage.prompt_tokens > 5
            with pytest.raises(UnknownName, match="unknown model 'huge'"):
                await collect(backend, model="huge")
            with pytest.raises(UnknownName):
                await backend.embed("huge", ["x"])
            with pytest.raises(PromptTooLong) as refused:
                await collect(backend, prompt="E" * 200)
            assert (refused.value.num_tokens, refused.value.limit_tokens) == (200, 160)
            with pytest.raises(InputError, match="no text to embed"):
                await backend.embed("tiny", [])
            got = await backend.embed("tiny", ["The class", "E"])
            assert len(got.vectors) == 2
            assert got.compute_s > 0
            assert len(await collect(backend)) > 1

    asyncio.run(main())


def test_closing_a_stream_ends_the_work_in_the_engine(model_folder):
    async def main():
        async with started(model_folder) as backend:
            for _ in range(6):  # more than there are slots: each must be given back
                async with aclosing(backend.generate(request(**LONG))) as stream:
                    async for _ in stream:
                        break
            task = asyncio.create_task(collect(backend, **LONG))
            await until(lambda: backend.load.num_running > 0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: backend.load.num_running == 0)
            pieces = await collect(backend)
            assert pieces[-1].finish_reason in ("stop", "length")

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [{"num_slots": 0}, {"max_waiting": -1}, {"context_tokens": 1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EmbeddedConfig(**wrong)


def test_a_full_queue_refuses(model_folder):
    async def main():
        async with started(model_folder, max_waiting=2) as backend:
            got = await asyncio.gather(
                *(collect(backend, **LONG) for _ in range(12)), return_exceptions=True
            )
            refused = [one for one in got if isinstance(one, BackendError)]
            assert len(got) - len(refused) >= 6
            assert refused
            assert all("queue is full" in str(one) for one in refused)

    asyncio.run(main())


def test_an_engine_that_is_killed_fails_its_requests_and_is_replaced(model_folder):
    async def main():
        async with started(model_folder) as backend:
            wanted = text(await collect(backend))
            (first,) = backend.pids()
            asked = [asyncio.create_task(collect(backend, **LONG)) for _ in range(6)]
            await until(lambda: backend.load.num_running == 4)
            os.kill(first, signal.SIGKILL)
            for outcome in await asyncio.gather(*asked, return_exceptions=True):
                if not isinstance(outcome, BackendError):  # it had ended just before
                    assert outcome[-1].finish_reason
            assert backend.pids() == ()
            assert text(await collect(backend)) == wanted
            (second,) = backend.pids()
            assert second != first

    asyncio.run(main())


def test_requests_in_flight_learn_how_the_engine_died(model_folder):
    async def main():
        async with started(model_folder) as backend:
            stream = backend.generate(request(**LONG))
            await anext(stream)
            os.kill(backend.pids()[0], signal.SIGKILL)
            with pytest.raises(BackendError, match=r"died while answering .*exit code -9"):
                async for _ in stream:
                    pass
            # many at once: one of them starts the new engine, the others wait for it
            got = await asyncio.gather(*(collect(backend) for _ in range(5)))
            assert len({text(pieces) for pieces in got}) == 1
            assert len(backend.pids()) == 1

    asyncio.run(main())


def test_restarts_are_bounded_when_nothing_is_ever_answered(model_folder):
    async def main():
        async with started(model_folder, max_restarts=1) as backend:
            for _ in range(2):
                stream = backend.generate(request(**LONG))
                await anext(stream)
                os.kill(backend.pids()[0], signal.SIGKILL)
                with pytest.raises(BackendError, match="died while answering"):
                    async for _ in stream:
                        pass
            with pytest.raises(BackendError, match="died 2 times in a row"):
                await collect(backend)
            await backend.start()  # an operator's word counts
            assert await collect(backend)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 50), "safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("{"), "not JSON"),
    ],
)
def test_what_keeps_a_model_from_loading_is_told(model_folder, tmp_path, spoil, message):
    folder = shutil.copytree(model_folder, tmp_path / "spoilt")
    spoil(folder)

    async def main():
        backend = EmbeddedBackend(folder, model="tiny")
        with pytest.raises(BackendError, match="cannot load its model") as refused:
            await backend.start()
        assert message in str(refused.value)
        assert backend.pids() == ()
        await backend.stop()

    asyncio.run(main())


def test_a_backend_that_was_not_started_or_was_stopped_says_so(model_folder):
    async def main():
        backend = EmbeddedBackend(model_folder, model="tiny")
        with pytest.raises(BackendError, match="not running"):
            await collect(backend)
        await backend.start()
        stream = backend.generate(request(**LONG))
        await anext(stream)
        await backend.stop()
        with pytest.raises(BackendError, match="was stopped"):
            async for _ in stream:
                pass
        with pytest.raises(BackendError, match="not running"):
            await collect(backend)

    asyncio.run(main())


PARENT = """
import asyncio, os, sys
from pathlib import Path
from tenfold.serve.backends.base import Generation
from tenfold.serve.backends.embedded import EmbeddedBackend

async def main():
    backend = EmbeddedBackend(Path(sys.argv[1]), model="tiny")
    await backend.start()
    if sys.argv[2] == "fork" and os.fork() == 0:
        import time
        time.sleep(60)  # a sibling that keeps our end of the socket open
        os._exit(0)
    asked = Generation(id="r", model="tiny", prompt="E", temperature=1.5, max_tokens=140)
    stream = backend.generate(asked)
    await anext(stream)
    heavy = {"torch", "numpy", "tokenizers", "safetensors"} & sys.modules.keys()
    print(*backend.pids(), *heavy, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("sibling", ["alone", "fork"])
def test_the_engine_dies_with_its_parent_which_never_loads_torch(model_folder, sibling):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(model_folder), sibling],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        (pid,) = parent.stdout.readline().split()  # nothing heavy beside it
        assert running(int(pid))
        parent.kill()
        parent.wait()
        asyncio.run(until(lambda: not running(int(pid)), timeout_s=10))
    finally:
        os.killpg(parent.pid, signal.SIGKILL)  # the sibling
        parent.stdout.close()
