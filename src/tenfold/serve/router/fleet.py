"""The members of a gateway: starting, cards, readiness, drain, and exchange of members at run time.

Starting goes on in the background, so that a gateway can say "not yet" instead of nothing, and a remote
server may come up after it. It knows no protocol and chooses nobody; that is the router's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any

from tenfold.errors import ConfigError, TenfoldError
from tenfold.serve.backends.base import Backend, BackendRefusal, ModelCard, Unreachable
from tenfold.serve.refusal import Refusal, retry_after, unknown_model
from tenfold.serve.router.breaker import CLOSED
from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.health import Probing, watch
from tenfold.serve.router.member import Member, Place

log = logging.getLogger("tenfold.gateway")

_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 15.0
_DRAIN_POLL_S = 0.02


class Fleet:
    """For one event loop. Raises ConfigError for two backends of one name."""

    def __init__(self, backends: Sequence[Backend], config: RouterConfig | None = None) -> None:
        self.config = config or RouterConfig()
        self.members: list[Member] = []
        """In service or on their way into it; also those on their way out that others cannot replace
        yet."""
        self.leaving: list[Member] = []
        """Draining: no new work, what is under way goes on."""
        self.places: dict[str, tuple[Place, ...]] = {}
        """Model -> where it is; what is not ready is not in it."""
        self.on_change: Callable[[], None] = _nothing
        """Called after `places` has changed."""
        self.on_gone: Callable[[str], None] = _nothing
        """Called with the name of a backend that gets no more work, before its heir gets any."""
        self._cards: dict[Member, tuple[ModelCard, ...]] = {}
        self._tasks: dict[Member, asyncio.Task[None]] = {}
        """Members that are starting, or draining out."""
        self._going: set[Member] = set()
        """In `members` still, until others can take over."""
        self._watches: dict[Member, asyncio.Task[None]] = {}
        self._started = False
        _check_names(backends)
        self.members = [self._member(backend) for backend in backends]

    def start(self) -> None:
        self._started = True
        for member in self.members:
            self._run(member, self._start(member))

    async def settled(self) -> None:
        """Return when every backend is ready, or raise the error of one that never will be.

        A backend that is merely unreachable goes on being tried, and is waited for.
        """
        starting = [self._tasks[member] for member in self.members if member in self._tasks]
        if starting:
            await asyncio.wait(starting)
        for member in self.members:
            if member.state == "failed" and member.error is not None:
                raise member.error

    async def stop(self) -> None:
        """End every backend, whatever is under way."""
        self._started = False
        tasks = [*self._tasks.values(), *self._watches.values()]
        self._watches.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for member in [*self.members, *self.leaving]:
            await self._end(member)
        self.leaving.clear()

    def reconfigure(
        self,
        backends: Sequence[Backend],
        config: RouterConfig | None = None,
        changed: Collection[str] = (),
    ) -> None:
        """Exchange the members while requests are under way; none of them is lost.

        A member whose name stays keeps its backend, connections and figures, unless it is among `changed`:
        then the new backend is started and takes over once it is ready. A member whose name is gone gets no
        new work as soon as every model it has is served by those that stay or have come; where none of
        them is still to come, at once. Then its last answer ends, at most `drain_s` later, and it is
        stopped. Raises ConfigError for two backends of one name, before anything has changed.
        """
        _check_names(backends)
        if config is not None:
            self.config = config
        given = {backend.name: backend for backend in backends}
        new = dict(given)
        for member in list(self.members):
            backend = given.get(member.name)
            if backend is not None and (member.name not in changed or member.backend is backend):
                new.pop(member.name, None)
                member.configure(self.config)
                # Of two of that name the younger is meant; the older waits for it as before.
                if all(m is member or m.name != member.name for m in self.members):
                    self._going.discard(member)
            elif member.state == "ready":
                self._going.add(member)
            else:
                self._retire(member)
        for backend in new.values():
            member = self._member(backend)
            self.members.append(member)
            if self._started:
                self._run(member, self._start(member))
        self._place()

    def drain(self, name: str) -> None:
        """Give a member no new work; what is under way goes on. Unknown names are ignored."""
        for member in self.members:
            if member.name == name and member.state == "ready":
                member.state = "draining"
        self._place()

    def resume(self, name: str) -> None:
        """Give a drained member work again."""
        for member in self.members:
            if member.name == name and member.state == "draining":
                member.state = "ready"
        self._place()

    @property
    def ready(self) -> bool:
        return all(member.state == "ready" for member in self.members)

    @property
    def outstanding(self) -> int:
        """Generations under way at all members."""
        return sum(member.outstanding for member in (*self.members, *self.leaving))

    def cards(self) -> list[ModelCard]:
        return [places[0].card for places in self.places.values()]

    def pids(self) -> list[int]:
        """Processes of ours, for the energy meter."""
        return [pid for member in (*self.members, *self.leaving) for pid in member.backend.pids()]

    def missing(self, model: str) -> Refusal:
        """Why nobody has this model: 503 while somebody may still come, else 404."""
        if self.ready:
            return unknown_model(model, list(self.places))
        states = {member.state for member in self.members}
        if states == {"failed"}:
            return Refusal(503, "No backend could be started.", code="backend_unavailable")
        if "starting" not in states and "draining" not in states:
            return unknown_model(model, list(self.places))
        return Refusal(
            503,
            f"The model `{model}` is not ready: a backend is still starting.",
            code="model_not_ready",
            headers=(retry_after(1),),
        )

    def can_spare(self, member: Member) -> bool:
        """Whether every model of a member can be answered by another one that is well, or by a fallback."""
        config = self.config
        fallbacks = config.fallbacks if "error" in config.fallback_on else {}
        return all(
            self._well(card.name, member)
            or any(self._well(other, member) for other in fallbacks.get(card.name, ()))
            for card in self._cards.get(member, ())
        )

    def _well(self, model: str, but: Member) -> bool:
        return any(
            place.member is not but and place.member.breaker.state == CLOSED
            for place in self.places.get(model, ())
        )

    def _member(self, backend: Backend) -> Member:
        member = Member(backend, self.config)
        member.breaker.may_open = lambda: self.can_spare(member)
        return member

    def _retire(self, member: Member) -> None:
        for table in (self._tasks, self._watches):
            task = table.pop(member, None)
            if task is not None:
                task.cancel()
        member.state = "draining"
        self.members.remove(member)
        self._going.discard(member)
        self._cards.pop(member, None)
        self.leaving.append(member)
        self.on_gone(member.name)
        if self._started:
            self._run(member, self._drain(member))

    def _run(self, member: Member, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[member] = asyncio.create_task(work)

        def forget(done: asyncio.Task[None]) -> None:
            if self._tasks.get(member) is done:
                del self._tasks[member]

        task.add_done_callback(forget)

    async def _drain(self, member: Member) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() + self.config.drain_s
        while member.outstanding and loop.time() < latest:
            await asyncio.sleep(_DRAIN_POLL_S)
        await self._end(member)
        self.leaving.remove(member)

    async def _end(self, member: Member) -> None:
        member.state = "stopped"
        try:
            await member.backend.stop()
        except Exception:
            log.exception("backend %s did not stop cleanly", member.name)

    def _may_go(self, member: Member) -> bool:
        """Whether a member that is on its way out is not needed any more."""
        staying = [other for other in self.members if other not in self._going]
        heirs = [other for other in staying if other.name == member.name]
        if heirs:
            return heirs[0].state == "ready"
        if all(other.state == "ready" for other in staying):
            return True
        served = {
            card.name
            for other in staying
            if other.state == "ready"
            for card in self._cards.get(other, ())
        }
        return all(card.name in served for card in self._cards.get(member, ()))

    def _place(self) -> None:
        """Work out anew who may go and which model is where."""
        for member in [member for member in self._going if self._may_go(member)]:
            self._retire(member)
        places: dict[str, list[Place]] = {}
        for member in self.members:
            if member.state == "ready":
                for card in self._cards.get(member, ()):
                    places.setdefault(card.name, []).append(Place(member, card))
        self.places = {model: tuple(found) for model, found in places.items()}
        # Whoever spared an ejected member may have gone: the last one of a model is never left out.
        for found in self.places.values():
            for place in found:
                if place.member.breaker.state != CLOSED and not self.can_spare(place.member):
                    place.member.breaker.close()
        self.on_change()

    async def _start(self, member: Member) -> None:
        wait_s = _FIRST_RETRY_S
        name = member.name
        while True:
            try:
                await member.backend.start()
                cards = tuple(member.backend.cards())
            except (Unreachable, BackendRefusal) as error:
                if member.error is None:
                    log.warning("backend %s is not there yet: %s", name, error)
                member.error = error
                await asyncio.sleep(wait_s)
                wait_s = min(_LAST_RETRY_S, wait_s * 2)
            except Exception as error:
                member.state, member.error = "failed", error
                if isinstance(error, TenfoldError):
                    log.error("backend %s cannot start: %s", name, error)
                else:
                    log.exception("backend %s cannot start", name)
                self._place()
                return
            else:
                break
        self._cards[member] = cards
        if member.error is not None:
            log.warning("backend %s is there now", name)
        member.state, member.error = "ready", None
        self._place()
        if isinstance(member.backend, Probing):
            self._watches[member] = asyncio.create_task(watch(member, lambda: self.config))


def _check_names(backends: Sequence[Backend]) -> None:
    names = [backend.name for backend in backends]
    if len(set(names)) != len(names):
        raise ConfigError("two backends have the same name", seen=names)


def _nothing(*_: object) -> None:
    """Nobody listens yet."""
