"""The seam between the gateway and whatever generates tokens.

A backend streams pieces of text and closes with usage. It knows nothing about HTTP, tenants, keys or
caches; the gateway knows nothing about weights. Messages are msgspec structs because they also travel to
the engine process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import msgspec

from tenfold.errors import BackendError, InputError


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    role: str
    content: str
    extra: dict[str, Any] = {}
    """Fields the gateway does not know (`name`, `tool_calls`); an HTTP backend forwards them."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A request for text. Exactly one of `messages` and `prompt` is given."""

    id: str
    model: str
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    max_tokens: int | None = None
    """None: up to the end of the context, bounded by the backend's own ceiling."""
    temperature: float = 1.0
    """0: greedy."""
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    extra: dict[str, Any] = {}
    """Fields the gateway does not know; an HTTP backend forwards them unchanged."""


class TokenUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Prompt tokens whose keys and values were already there."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer. The last one, and only it, has a finish reason and usage."""

    text: str = ""
    finish_reason: str | None = None
    """`stop`, `length` or `cancelled`."""
    usage: TokenUsage | None = None
    compute_s: float = 0.0
    """Share of engine time this request took, on the last piece; what energy is apportioned by."""
    delta: dict[str, Any] | None = None
    """What else a remote server said in this part (`tool_calls`, `reasoning_content`), as it said it."""


class Embeddings(msgspec.Struct, frozen=True):
    vectors: list[list[float]]
    prompt_tokens: int
    compute_s: float = 0.0


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a backend serves."""

    name: str
    digest: str = ""
    """Of the asset; empty when the weights are not ours."""
    context_tokens: int | None = None
    owner: str = "tenfold"
    created_at_s: int = 0


class PromptTooLong(InputError):
    """The prompt does not fit the context. Both counts are tokens."""

    def __init__(self, num_tokens: int, limit_tokens: int) -> None:
        self.num_tokens = num_tokens
        self.limit_tokens = limit_tokens
        super().__init__(
            f"the prompt has {num_tokens} tokens, the model's context is {limit_tokens}",
            hint="shorten the prompt or choose a model with a longer context",
        )


class Unreachable(BackendError):
    """A backend in another place does not answer now; it may later."""


class BackendRefusal(BackendError):
    """A backend answered, but with an error of its own: full, out of order, or not willing.

    `status` is the HTTP status that says the same; 429 and 503 may say when to come back.
    """

    def __init__(
        self,
        fact: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        super().__init__(fact, where=where, hint=hint)


class Backend(Protocol):
    """Generates tokens. `generate` raises PromptTooLong, UnknownName or BackendError before or while
    streaming; closing its iterator early cancels the work upstream."""

    name: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def cards(self) -> Sequence[ModelCard]: ...

    def pids(self) -> Sequence[int]:
        """Processes of ours that do the work (for energy); empty for a remote server."""
        ...

    def generate(self, request: Generation) -> AsyncIterator[Piece]: ...

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings: ...
