"""An answer under way in another protocol: what it leaves behind for the tiers."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tenfold.serve.protocols.messages import Messages
from tenfold.serve.protocols.responses import Responses
from tenfold.serve.protocols.translated import Translated
from tenfold.serve.protocols.watch import watch


class Said:
    """A chat answer, watched as a forwarding backend watches it."""

    stream = True

    def __init__(self, parts):
        self._watch = watch("/v1/chat/completions")
        self.outcome = self._watch.outcome
        self._parts = parts

    async def __aiter__(self):
        for part in self._parts:
            self._watch.events(part)
            yield part

    def close(self):
        pass


@pytest.mark.parametrize("dialect", [Messages(), Responses()])
def test_only_what_was_translated_to_its_end_is_complete(canned, dialect):
    plain = {"model": "m", "max_tokens": 5, "input": "x", "stream": True}
    plain["messages"] = [{"role": "user", "content": "x"}]
    ask = dialect.read(orjson.dumps(plain))

    async def outcome(*deltas):
        made = Translated(Said(canned.chunks(*deltas)), dialect, ask, "x_1")
        return b"".join([part async for part in made]), made.outcome

    stream, good = asyncio.run(outcome({"content": "x"}))
    assert good.complete
    assert b"event: error" not in stream
    stream, bad = asyncio.run(
        outcome(canned.call(0, arguments="{}"))
    )  # a call of no one knows what
    assert not bad.complete
    assert b"event: error" in stream
