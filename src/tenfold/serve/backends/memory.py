"""The in-memory backend: answers that you give it, streamed word by word.

For tests of whatever stands on a gateway, without weights or processes. It holds to the same contract as
the real ones; a token is a word with the white space before it. It knows nothing about models: equal
requests get equal answers because the answers are yours.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from tenfold.errors import UnknownName
from tenfold.serve.backends.base import (
    Answer,
    Call,
    Embeddings,
    Generation,
    ModelCard,
    Piece,
    PromptTooLong,
    TokenUsage,
)

Answers = Callable[[Generation], str] | Mapping[str, str]

_WORD = re.compile(r"\s*\S+|\s+\Z")
_DIMENSIONS = 64


class MemoryBackend:
    """Answers from a function of the request, or from a mapping of the last user message (or the prompt).

    What a function raises reaches the caller; a question that the mapping lacks raises UnknownName.
    `requests` holds every request that was started and `cancelled` the ids of those closed early, so that
    a test can see what reached the backend.
    """

    speaks: frozenset[str] = frozenset()

    def __init__(
        self,
        answers: Answers,
        *,
        models: Sequence[str] = ("memory",),
        context_tokens: int = 4096,
        delay_s: float = 0.0,
        name: str = "memory",
    ) -> None:
        """`delay_s` is waited before each piece; `context_tokens` counts words of prompt and answer."""
        self.name = name
        self.requests: list[Generation] = []
        self.cancelled: list[str] = []
        self._answers = answers
        self._delay_s = delay_s
        self._cards = {
            model: ModelCard(
                name=model,
                digest=hashlib.sha256(f"memory:{model}".encode()).hexdigest(),
                context_tokens=context_tokens,
            )
            for model in models
        }
        self._context_tokens = context_tokens

    async def start(self) -> None:
        """Nothing to load."""

    async def stop(self) -> None:
        """Nothing to end."""

    async def open(self, call: Call) -> Answer:
        raise NotImplementedError("this backend generates: use generate()")

    def cards(self) -> Sequence[ModelCard]:
        return tuple(self._cards.values())

    def pids(self) -> Sequence[int]:
        return ()

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """The answer word by word. Raises UnknownName, PromptTooLong, or what the function raises."""
        self._check(request.model)
        num_prompt = len(words(prompt_of(request)))
        room = self._context_tokens - num_prompt
        if room < 1:
            raise PromptTooLong(num_prompt, self._context_tokens)
        self.requests.append(request)
        answer, stopped = before_stop(self._answer(request), request.stop)
        tokens = words(answer)
        limit = room if request.max_tokens is None else min(request.max_tokens, room)
        sent = tokens[:limit]
        finished = False
        try:
            for token in sent:
                await asyncio.sleep(self._delay_s)
                yield Piece(text=token)
            finished = True
            yield Piece(
                finish_reason="length" if len(tokens) > limit and not stopped else "stop",
                usage=TokenUsage(num_prompt, len(sent)),
                compute_s=self._delay_s * len(sent),
            )
        finally:
            if not finished:
                self.cancelled.append(request.id)

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Bags of hashed words, of length one: texts that share words are near each other."""
        self._check(model)
        return Embeddings([bag(text) for text in texts], sum(len(words(text)) for text in texts))

    def _check(self, model: str) -> None:
        if model not in self._cards:
            raise UnknownName("model", model, self._cards)

    def _answer(self, request: Generation) -> str:
        if callable(self._answers):
            return self._answers(request)
        question = question_of(request)
        if question not in self._answers:
            raise UnknownName("answer", question, self._answers)
        return self._answers[question]


def words(text: str) -> list[str]:
    """The text cut into words, each with the white space before it; joined they are the text again."""
    return _WORD.findall(text)


def prompt_of(request: Generation) -> str:
    """Everything the model is given, as one text."""
    if request.prompt is not None:
        return request.prompt
    return "\n".join(message.content for message in request.messages or ())


def question_of(request: Generation) -> str:
    """The last message of the user, or the whole prompt when there is none."""
    for message in reversed(request.messages or ()):
        if message.role == "user":
            return message.content
    return prompt_of(request)


def before_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text up to the first stop string, and whether there was one."""
    found = [at for at in (text.find(mark) for mark in stop if mark) if at >= 0]
    return (text[: min(found)], True) if found else (text, False)


def bag(text: str) -> list[float]:
    """A vector of word counts, hashed to 64 places with signs, of Euclidean length one."""
    vector = [0.0] * _DIMENSIONS
    for word in text.lower().split():
        code = hashlib.sha256(word.encode()).digest()
        vector[code[0] % _DIMENSIONS] += 1.0 if code[1] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
