"""Continuous batching: requests join and leave between any two steps.

A step admits waiting requests into free slots (reading their prompts), decodes one token for every row that
runs, and lets go of those that are done. It knows when things run; what a token is, how it becomes text and
how messages travel is elsewhere. Single-threaded and deterministic: the same calls give the same replies.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tenfold.errors import InputError
from tenfold.serve.backends.base import BackendRefusal, PromptTooLong
from tenfold.serve.engine.batch import Batch
from tenfold.serve.engine.messages import (
    Cancel,
    Delta,
    Deltas,
    Embed,
    Embedded,
    Failed,
    Generate,
    Reply,
    Request,
    fault_of,
)
from tenfold.serve.engine.meter import LapMeter
from tenfold.serve.engine.network import Network
from tenfold.serve.engine.row import Row, new_row
from tenfold.serve.engine.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    max_waiting: int = 256
    """Requests without a slot; one more is refused. 0 or more."""
    prefill_tokens: int = 1024
    """Prompt tokens read per step before running rows get their next token. 1 or more; at least one
    prompt is read whatever its length."""


@dataclass(slots=True, eq=False)
class _EmbedJob:
    id: int
    texts: deque[list[int]]
    vectors: list[list[float]]
    num_tokens: int
    compute_s: float = 0.0


class Scheduler:
    def __init__(
        self,
        network: Network,
        text: Text,
        config: SchedulerConfig | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._network = network
        self._text = text
        self._config = config or SchedulerConfig()
        self._batch = Batch(network)
        self._waiting: deque[Row] = deque()
        self._embeds: deque[_EmbedJob] = deque()
        self._out: list[Delta] = []
        self._replies: list[Reply] = []
        self.meter = LapMeter(clock)

    @property
    def idle(self) -> bool:
        return not (self._batch.rows or self._waiting or self._embeds)

    def handle(self, message: Request) -> None:
        """Take a request in. Refusals go out with the next step's replies; nothing raises."""
        self.meter.start()
        try:
            match message:
                case Generate():
                    self._submit(message)
                case Embed():
                    self._submit_embed(message)
                case Cancel():
                    self._cancel(message.id)
        except (
            Exception
        ) as error:  # the request's fault, or a tokenizer's: never the other requests'
            self._replies.append(Failed(message.id, fault_of(error)))

    def step(self) -> list[Reply]:
        """Do a step's work and return what it has to say."""
        self.meter.start()
        budget = self._config.prefill_tokens
        while budget > 0 and self._waiting and not self._batch.full:
            budget -= self._admit(self._waiting.popleft())
        while budget > 0 and self._embeds:
            budget -= self._embed_one(self._embeds[0])
        running = list(self._batch.rows)
        if running:
            for row, token in zip(running, self._batch.step(), strict=True):
                row.take(token)
            self.meter.lap(running)
            self._release(running)
        replies, self._replies = self._replies, []
        if self._out:
            num_running, num_waiting = len(self._batch.rows), len(self._waiting)
            replies.append(Deltas(self._out, self.meter.busy_s, num_running, num_waiting))
            self._out = []
        if self.idle:
            self.meter.stop()
        return replies

    def _submit(self, message: Generate) -> None:
        request = message.request
        self._check_queue()
        prompt = self._text.prompts.prompt(request)
        room = self._room(prompt.ids)
        max_tokens = room if request.max_tokens is None else min(request.max_tokens, room)
        row = new_row(
            message.id,
            request,
            prompt.ids,
            stop=(*request.stop, *prompt.stop),
            max_tokens=max_tokens,
            eos_ids=self._text.eos_ids,
            decode=self._text.decode,
        )
        if max_tokens < 1:
            row.finish_reason = "length"
            self._send(row)
        else:
            self._waiting.append(row)
        self.meter.lap([row])

    def _submit_embed(self, message: Embed) -> None:
        self._check_queue()
        texts = deque(self._text.prompts.ids(text) for text in message.texts)
        limit = self._network.context_tokens
        for ids in texts:
            if len(ids) > limit:
                raise PromptTooLong(len(ids), limit)
        if not texts:
            raise InputError("there is no text to embed")
        num_tokens = sum(len(ids) for ids in texts)
        self._embeds.append(_EmbedJob(message.id, texts, [], num_tokens))

    def _check_queue(self) -> None:
        num_free = self._network.num_slots - len(self._batch.rows)
        num_queued = len(self._waiting) + len(self._embeds)
        if num_queued >= self._config.max_waiting + num_free:
            raise BackendRefusal(
                f"the engine's queue is full: {num_queued} requests wait",
                status=429,
                code="queue_full",
                retry_after_s=1.0,
                hint="try again in a moment, or start another engine",
            )

    def _room(self, ids: list[int]) -> int:
        """Tokens that an answer can have. Raises PromptTooLong when that is none."""
        room = self._network.context_tokens - len(ids)
        if room < 1:
            raise PromptTooLong(len(ids), self._network.context_tokens)
        return room

    def _admit(self, row: Row) -> int:
        row.take(self._batch.add(row))
        self.meter.lap([row])
        self._release([row])
        return len(row.prompt)

    def _embed_one(self, job: _EmbedJob) -> int:
        ids = job.texts.popleft()
        job.vectors.append(self._network.embed(ids))
        self.meter.lap([job])
        if not job.texts:
            self._embeds.popleft()
            self._replies.append(Embedded(job.id, job.vectors, job.num_tokens, job.compute_s))
        return len(ids)

    def _cancel(self, id: int) -> None:
        """End a request now; its slot is free for the next step. An id that is gone already is no fault."""
        for rows in (self._waiting, self._batch.rows):
            for row in rows:
                if row.id == id:
                    row.finish_reason = "cancelled"
                    if rows is self._waiting:
                        self._waiting.remove(row)
                        self._send(row)
                    else:
                        self._release([row])
                    return
        self._embeds = deque(job for job in self._embeds if job.id != id)

    def _release(self, rows: list[Row]) -> None:
        for row in rows:
            self._send(row)
            if row.finish_reason is not None:
                self._batch.remove(row)

    def _send(self, row: Row) -> None:
        delta = row.delta()
        if delta is not None:
            self._out.append(delta)
