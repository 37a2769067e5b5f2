"""The seam between the gateway and whatever generates tokens.

There are two kinds of backends. One generates: it takes a typed request and streams pieces of text, closing
with usage (the embedded engine). The other forwards: it takes a client's bytes to a server that speaks the
same protocol and hands its bytes back, so that no field of either is lost. Neither knows tenants, keys or
caches; the gateway knows nothing about weights. Messages are msgspec structs because they also travel to the
engine process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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


class Outcome:
    """What is known about an answer once it has ended."""

    __slots__ = (
        "complete",
        "compute_s",
        "finish_reasons",
        "refused",
        "response_id",
        "side_effects",
        "usage",
        "usage_event",
    )

    def __init__(self) -> None:
        self.usage: TokenUsage | None = None
        """None: nobody said."""
        self.usage_event = b""
        """The event of a stream that carries usage and nothing else: only for clients that asked for it."""
        self.finish_reasons: tuple[str, ...] = ()
        """One per choice, in order."""
        self.complete = False
        """It ended as its protocol says: `[DONE]` was seen, or the JSON body is whole."""
        self.side_effects = False
        """It asks for tools to be called."""
        self.refused = False
        """The model, or a filter behind it, would not answer, or its server said that it failed."""
        self.response_id = ""
        self.compute_s = 0.0
        """Share of engine time, where the engine is ours."""


Take = Callable[[bytes], bool]
"""Is given a part of an answer; returns whether its reader has fallen behind."""
Room = Callable[[], Awaitable[None]]
"""Waits until it has caught up."""


async def pour(answer: Answer, parts: AsyncIterator[bytes], take: Take, room: Room) -> None:
    """The rest of an answer whose `parts` are being iterated, one by one as they come. An answer that can
    hand them over in the callback that brings them (it has a `pour` of its own) does so: that saves a task
    switch per token."""
    direct = getattr(answer, "pour", None)
    if direct is not None:
        await direct(take, room)
        return
    async for part in parts:
        if take(part):
            await room()


class Answer(Protocol):
    """An answer that has begun. What goes wrong before that is raised; after it, iteration raises."""

    stream: bool
    """True: parts are server-sent events, each part one or more whole ones. False: one part, a JSON body."""
    outcome: Outcome
    """Valid when the iteration has ended."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def close(self) -> None:
        """Early: cancels the work upstream. May be called more than once."""
        ...


class Call:
    """One request on its way to a backend that forwards."""

    __slots__ = ("body", "deadline", "endpoint", "headers", "id", "model", "plain", "stream")

    def __init__(
        self,
        id: str,
        endpoint: str,
        model: str,
        body: bytes,
        plain: dict[str, Any],
        *,
        stream: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        deadline: float | None = None,
    ) -> None:
        self.id = id
        self.endpoint = endpoint
        """`/v1/chat/completions` and so on."""
        self.model = model
        """As the client named it."""
        self.body = body
        """The client's JSON, byte for byte."""
        self.plain = plain
        """The same, decoded."""
        self.stream = stream
        self.headers = headers
        """The few request headers that travel on (`traceparent`, `anthropic-version`)."""
        self.deadline = deadline
        """On the monotonic clock; None: no one is in a hurry."""


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
    """Makes answers. `generate` raises PromptTooLong, UnknownName or BackendError before or while
    streaming; closing its iterator early cancels the work upstream."""

    name: str
    speaks: frozenset[str]
    """Endpoints whose requests `open` takes byte for byte. Empty for one that generates."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def cards(self) -> Sequence[ModelCard]: ...

    def pids(self) -> Sequence[int]:
        """Processes of ours that do the work (for energy); empty for a remote server."""
        ...

    async def open(self, call: Call) -> Answer:
        """Raises BackendRefusal with the server's own status and error, Unreachable, or BackendError."""
        ...

    def generate(self, request: Generation) -> AsyncIterator[Piece]: ...

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings: ...
