"""One attempt at one backend: the bytes go through, or are translated, or the answer is rendered here.

It chooses nobody and stores nothing; the router calls it, maybe more than once for one request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tenfold.serve.access.grant import Grant
from tenfold.serve.backends.base import Answer, Call, ModelCard
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.protocols.ask import Ask, Dialect
from tenfold.serve.protocols.chat import Chat
from tenfold.serve.protocols.completion import Completion
from tenfold.serve.protocols.embedding import Embedding
from tenfold.serve.protocols.rendered import render
from tenfold.serve.protocols.translated import Translated, Translating, chat_ask
from tenfold.serve.refusal import Refusal
from tenfold.serve.router.member import Member

Attempt = Callable[[Member, ModelCard], Awaitable[Answer]]

_CHAT = Chat()


def attempt_at(
    exchange: Exchange,
    dialect: Dialect,
    ask: Ask,
    grant: Grant,
    headers: tuple[tuple[bytes, bytes], ...],
    deadline: float,
) -> Attempt:
    """What the router calls with a member to have it answer `ask`."""

    async def attempt(member: Member, card: ModelCard) -> Answer:
        backend = member.backend
        exchange.backend, exchange.model_digest = member.name, card.digest
        if card.name != ask.model:
            grant.check_model(card.name)  # a stand-in is no way around a key's list of models
        if ask.endpoint in backend.speaks:
            return await backend.open(_call(exchange.id, ask, card, headers, deadline))
        if isinstance(dialect, Translating):
            said = chat_ask(dialect, ask, _CHAT)
            if _CHAT.endpoint in backend.speaks:
                answer = await backend.open(_call(exchange.id, said, card, headers, deadline))
            else:
                answer = await render(backend, card, said, _CHAT, exchange.id, int(exchange.at_s))
            return Translated(answer, dialect, ask, exchange.id)
        if backend.speaks or not isinstance(dialect, Chat | Completion | Embedding):
            raise Refusal(
                404,
                f"The model `{ask.model}` is served by a backend without {ask.endpoint}.",
                code="unsupported_endpoint",
                param="model",
            )
        return await render(backend, card, ask, dialect, exchange.id, int(exchange.at_s))

    return attempt


def _call(
    id: str,
    ask: Ask,
    card: ModelCard,
    headers: tuple[tuple[bytes, bytes], ...],
    deadline: float,
) -> Call:
    return Call(
        id,
        ask.endpoint,
        card.name,
        ask.body,
        ask.plain,
        stream=ask.stream,
        headers=headers,
        deadline=deadline,
    )
