"""Single flight: of equal requests at one time, one is answered by a model and all get that answer.

The first to come leads: it makes the answer and publishes its parts. The others follow: they get every part
from the first one on, as it comes, each at its own pace. A flight holds its parts once, whoever reads them.
It knows no protocol; flights across processes are relay.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from tenfold.errors import BackendError
from tenfold.serve.cache.stored import Stored


class Trials:
    """Leaders that failed one after the other, as those know who followed them."""

    __slots__ = ("error", "num_failed")

    def __init__(self) -> None:
        self.num_failed = 0
        self.error: BaseException | None = None


class Vacant(Exception):
    """The leader is gone and this follower has had nothing yet: join again, with this. The first leads."""

    def __init__(self, trials: Trials | None = None) -> None:
        self.trials = trials or Trials()


class Lost(BackendError):
    """The answer broke off with whoever made it, after parts of it had been handed on."""


class Flight:
    """One answer on its way. For one event loop."""

    def __init__(self, key: bytes, max_bytes: int, landed: Callable[[Flight], None]) -> None:
        self.key = key
        self.stream = False
        """Whether parts are events; valid once it has begun."""
        self.head = b""
        """What the leader wants followers to know before the first part."""
        self.begun = False
        self.done = False
        self.outcome: Any = None
        """What the leader knew of the answer at its end."""
        self.stored: Stored | None = None
        """The whole answer, where it can be replayed. A flight may have this and no parts."""
        self.trials = Trials()
        self.error: BaseException | None = None
        self.shared = False
        """The error is the request's own fault: a next leader would only meet it again."""
        self.num_followers = 0
        self._max_bytes = max_bytes
        self._landed = landed
        self._parts: list[bytes] = []
        self._num_bytes = 0
        self._first = 0
        """Number of the first part that is still held."""
        self._followers: set[Follower] = set()
        self._after: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    # For the leader.

    def __enter__(self) -> Flight:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """A leader that leaves without a word has failed, unless others carry on with its work."""
        if not self.done and self._task is None:
            self.fail(error or Lost("the leader left"))

    def begin(self, stream: bool, head: bytes = b"") -> None:
        """The backend has accepted: followers may send their status now."""
        self.stream, self.head, self.begun = stream, head, True
        self._wake()

    def publish(self, part: bytes) -> None:
        """Never waits: the slowest follower reads from memory."""
        self.begun = True
        self._parts.append(part)
        self._num_bytes += len(part)
        if self._num_bytes > self._max_bytes:
            self._overflow()
        if self._followers:
            self._wake()

    def let_go(self) -> bool:
        """Hold no parts any more and take no followers, where there are none: for want of memory."""
        if self._followers:
            return False
        self._max_bytes = 0
        self._overflow()
        return True

    def end(self, outcome: Any = None, stored: Stored | None = None) -> None:
        """All of it was published. Put it into the tiers first: then nobody finds neither."""
        self.outcome, self.stored = outcome, stored
        self._land()

    def fail(self, error: BaseException, *, shared: bool = False) -> None:
        """`shared`: the same for everybody (a 4xx). Otherwise a follower that has had nothing leads next."""
        self.error, self.shared = error, shared
        self._land()

    def adopt(self, rest: Coroutine[Any, Any, None] | asyncio.Task[None]) -> bool:
        """The leader's client is gone: let `rest` publish and end what it began, for those who follow.

        It is cancelled when the last of them leaves. With nobody there it is not begun: False.
        """
        if not self._followers or self.done:
            if not isinstance(rest, asyncio.Task):
                rest.close()
            return False
        self.carry(rest)
        return True

    def carry(self, work: Coroutine[Any, Any, None] | asyncio.Task[None]) -> None:
        """Have `work` lead. It is cancelled when the last follower leaves."""
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    # For followers.

    def follow(self) -> Follower:
        follower = Follower(self)
        self._followers.add(follower)
        self.num_followers += 1
        return follower

    # Inside.

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self.done:
            error = None if task.cancelled() else task.exception()
            self.fail(error or Lost("the leader left"))

    def on_landing(self, then: Callable[[], None]) -> None:
        """Have `then` called once this flight is over, whatever became of it."""
        self._after.append(then)

    def _land(self) -> None:
        if not self.done:
            self.done = True
            for then in self._after:
                then()
            self._landed(self)
            self._wake()

    def _wake(self) -> None:
        for follower in self._followers:
            follower._wake()

    def _leave(self, follower: Follower) -> None:
        if follower in self._followers:
            self._followers.remove(follower)
            self.num_followers -= 1
            if not self._followers and self._task is not None and not self.done:
                self._task.cancel()

    def _overflow(self) -> None:
        """Too long to hold: nobody may join any more, and only what is still to be read is kept."""
        self._landed(self)
        while self._num_bytes > self._max_bytes and self._parts:
            for late in [one for one in self._followers if one.at <= self._first]:
                if not self._drop_first_when_read(late):
                    return
            self._num_bytes -= len(self._parts.pop(0))
            self._first += 1

    def _drop_first_when_read(self, late: Follower) -> bool:
        """A follower may lag by as much again; then it is left behind rather than all held in memory."""
        if self._num_bytes <= 2 * self._max_bytes:
            return False
        late.fall_behind()
        return True


class Follower:
    """One reader of a flight; has the shape of a backend's Answer."""

    __slots__ = ("_behind", "_flight", "_waiter", "at")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._waiter: asyncio.Future[None] | None = None
        self._behind = False
        self.at = 0
        """Number of the next part."""

    @property
    def stream(self) -> bool:
        return self._flight.stream

    @property
    def outcome(self) -> Any:
        return self._flight.outcome

    async def begun(self) -> None:
        """Until there is something to send. Raises what the leader met, or Vacant."""
        while not (self._flight.begun or self._flight.done):
            await self._wait()
        self._check()

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> bytes:
        """All that has come since, in one. Vacant may still come in place of the first part: send the status
        with that, not before."""
        flight = self._flight
        if not self.at:
            self._check()  # better a new beginning than a beginning without an end
        while not self._behind:
            held = flight._parts
            start = self.at - flight._first
            if start < len(held):
                self.at = flight._first + len(held)
                return held[start] if start == len(held) - 1 else b"".join(held[start:])
            if flight.done:
                self.close()
                self._check()
                raise StopAsyncIteration
            await self._wait()
            if not self.at:
                self._check()
        raise Lost("this client reads too slowly")

    def close(self) -> None:
        self._flight._leave(self)

    def fall_behind(self) -> None:
        self._behind = True
        self.close()
        self._wake()

    def _check(self) -> None:
        error = self._flight.error
        if error is None:
            return
        if not self._flight.shared and not self.at:
            raise Vacant(self._flight.trials)
        raise fresh(error)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def fresh(error: BaseException) -> Exception:
    """`error` to be raised once more, to somebody else: a leader's cancellation is not theirs."""
    if not isinstance(error, Exception):
        return Lost("the leader left")
    return error.with_traceback(None)
