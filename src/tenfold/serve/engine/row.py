"""A request that runs: its prompt, the text it has so far, and why it ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from tenfold.serve.backends.base import Generation, TokenUsage
from tenfold.serve.engine.detokenize import Detokenizer
from tenfold.serve.engine.messages import Delta
from tenfold.serve.engine.stop import StopStrings


@dataclass(slots=True, eq=False)
class Row:
    id: int
    request: Generation
    prompt: Sequence[int]
    max_tokens: int
    eos_ids: Collection[int]
    detokenizer: Detokenizer
    stop: StopStrings
    compute_s: float = 0.0
    num_tokens: int = 0
    """Tokens made, the end mark included: it took a step like any other."""
    last_token: int = 0
    finish_reason: str | None = None
    text: str = field(default="")
    """Text of the step in hand, not yet sent."""

    def take(self, token: int) -> None:
        """Add a token; sets `text`, and `finish_reason` when the answer is complete."""
        self.num_tokens += 1
        self.last_token = token
        if token in self.eos_ids:
            self._finish("stop")
            return
        self.text += self.stop.push(self.detokenizer.push(token))
        if self.stop.found:
            self.finish_reason = "stop"
        elif self.num_tokens >= self.max_tokens:
            self._finish("length")

    def _finish(self, reason: str) -> None:
        """Let out what waits for the rest of a character, and what might have begun a stop string."""
        self.text += self.stop.push(self.detokenizer.flush())
        self.text += self.stop.flush()
        self.finish_reason = "stop" if self.stop.found else reason

    def delta(self) -> Delta | None:
        """What this step adds; None when nothing can be shown yet."""
        text, self.text = self.text, ""
        if self.finish_reason is None:
            return Delta(self.id, text) if text else None
        usage = TokenUsage(len(self.prompt), self.num_tokens)
        return Delta(self.id, text, self.finish_reason, usage, self.compute_s)


Decode = Callable[[Sequence[int]], str]


def new_row(
    id: int,
    request: Generation,
    prompt: Sequence[int],
    *,
    stop: Sequence[str],
    max_tokens: int,
    eos_ids: Collection[int],
    decode: Decode,
) -> Row:
    detokenizer = Detokenizer(decode, prompt)
    return Row(id, request, prompt, max_tokens, eos_ids, detokenizer, StopStrings(stop))
