"""One batch, from the claim to its end: validated, asked line by line, written down, made into files.

All of it can be done again from any point: what has an answer on disk is not asked again. It knows the gateway
as something that takes requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from tenfold.serve.batch.answered import (
    Answered,
    error_line,
    pause_s,
    refused,
    told_wait_s,
)
from tenfold.serve.batch.batches import Batches, BatchRecord
from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.batch.files import FileRecord, Files
from tenfold.serve.batch.home import new_id
from tenfold.serve.batch.inner import InnerRequest
from tenfold.serve.batch.lines import BatchLine, Checked, check_lines, read_chunk, read_line
from tenfold.serve.batch.results import Results
from tenfold.serve.refusal import Refusal

if TYPE_CHECKING:
    from tenfold.serve.gateway.app import Gateway

PRIORITY = -1
"""Whoever waits for an answer goes first."""
_EXPIRED = "This request could not be executed before the completion window expired."

Off = Callable[..., Awaitable[Any]]
"""Runs a function off the event loop. Cancelled, it ends when the function has: nothing is written behind a
claim that was let go."""


class Stopped(Exception):
    """This process ends; another one carries on."""


class BatchRun:
    """For who has the claim."""

    def __init__(
        self,
        gateway: Gateway,
        record: BatchRecord,
        batches: Batches,
        files: Files,
        config: BatchConfig,
        slots: asyncio.Semaphore,
        stopping: asyncio.Event,
        off: Off,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`slots`: lines that may be under way at once, over all batches of this process."""
        self._gateway = gateway
        self._record = record
        self._batches = batches
        self._files = files
        self._config = config
        self._slots = slots
        self._stopping = stopping
        self._off = off
        self._now = now
        self._over = asyncio.Event()
        """Nothing more is asked: it was cancelled, has expired, or this process ends."""
        self._saved = (-1, -1)

    async def go(self) -> None:
        """Until it has ended. Raises Stopped, OSError; then it can be begun again."""
        record = self._record
        watching = asyncio.create_task(self._watch())
        try:
            if record.status == "validating":
                await self._validate()
            if record.status == "in_progress":
                await self._ask_all()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        if record.status == "finalizing":
            await self._finalize()

    async def _watch(self) -> None:
        """Look whether it is over, now and then."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not self._stopping.is_set() and not await self._ended():
                await asyncio.wait((stopping,), timeout=self._config.look_s)
            self._over.set()
        finally:
            stopping.cancel()

    async def _ended(self) -> bool:
        record = self._record
        if self._now() >= record.expires_at_s:
            return True
        if record.cancelling_at_s is None:
            folder = self._batches.home.of_tenant(record.tenant)
            found = await self._off(self._batches.read, folder, record.id)
            record.cancelling_at_s = None if found is None else found.cancelling_at_s
        return record.cancelling_at_s is not None

    def _check_stopped(self) -> None:
        if self._stopping.is_set():
            raise Stopped

    async def _become(self, status: str) -> None:
        self._record.status = status
        self._record.at_s[status] = self._now()
        await self._off(self._batches.save, self._record)

    async def _validate(self) -> None:
        record, gateway = self._record, self._gateway

        def known(model: str) -> Refusal | None:
            if model in gateway.fleet.places or model in gateway.config.router.fallbacks:
                return None
            return gateway.fleet.missing(model)

        checked: Checked | None = None
        while not self._over.is_set():
            checked = await self._off(
                check_lines,
                self._batches.path(record, ".in"),
                record.endpoint,
                known,
                max_lines=self._config.max_lines,
                max_body_bytes=gateway.config.max_body_bytes,
            )
            if checked.faults or not checked.not_ready:
                break
            await self._pause(self._config.look_s)
        self._check_stopped()
        if checked is None or (checked.not_ready and not checked.faults):
            record.ends_as = "expired" if record.cancelling_at_s is None else "cancelled"
            await self._become("finalizing")
        elif checked.faults:
            record.errors = checked.faults
            await self._become("failed")
        else:
            record.total, record.model = checked.total, checked.model
            await self._become("in_progress")

    async def _ask_all(self) -> None:
        record = self._record
        out = await self._off(Results, self._batches.path(record, ".out"))
        try:
            err = await self._off(Results, self._batches.path(record, ".err"))
            try:
                noting = asyncio.create_task(self._note(out, err))
                try:
                    await self._ask_rest(out, err)
                finally:
                    noting.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await noting
                await self._conclude(out, err)
            finally:
                err.close()
        finally:
            out.close()

    async def _ask_rest(self, out: Results, err: Results) -> None:
        self._count(out, err)
        room = asyncio.Semaphore(self._config.concurrency)
        stream = await self._off(open, self._batches.path(self._record, ".in"), "rb")
        try:
            async with asyncio.TaskGroup() as lines:
                while not self._over.is_set():
                    chunk = await self._off(read_chunk, stream)
                    if not chunk:
                        break
                    for raw in chunk:
                        line = read_line(raw)
                        if line.custom_id in out.answered or line.custom_id in err.answered:
                            continue
                        await room.acquire()
                        if self._over.is_set():
                            break
                        lines.create_task(self._line(line, out, err)).add_done_callback(
                            lambda _: room.release()
                        )
        finally:
            stream.close()

    async def _line(self, line: BatchLine, out: Results, err: Results) -> None:
        """Ask until there is an answer to keep."""
        tries = 0
        while not self._over.is_set():
            async with self._slots:
                if self._over.is_set():
                    return
                try:
                    answered = await self._asked(line)
                except Refusal as refusal:  # a rate limit: nothing was asked
                    lines = b"".join(b"%b: %b\r\n" % header for header in refusal.headers)
                    wait_s = pause_s(0, told_wait_s(lines))
                else:
                    tries += 1
                    if not answered.worth_another(tries):
                        into = out if answered.good else err
                        said = answered.line(new_id("batch_req_"), line.custom_id)
                        await self._off(into.append, line.custom_id, said)
                        self._count(out, err)
                        return
                    wait_s = pause_s(tries, answered.wait_s)
            await self._pause(wait_s)

    async def _asked(self, line: BatchLine) -> Answered:
        """One try. Raises Refusal (429, 503) when it was not let in yet, and nothing came of it."""
        body = bytes(line.body)
        if orjson.loads(body).get("stream"):
            return refused(
                Refusal(400, "A batch has no streams.", code="invalid_value", param="stream")
            )
        try:
            grant = self._gateway.keys.named(self._record.tenant, self._record.key_name)
        except Refusal as refusal:
            return refused(refusal)
        request = InnerRequest(self._record.endpoint, body)
        id = self._gateway.submit(request, grant, PRIORITY)
        try:
            status, lines, answer = await request.answered
        except asyncio.CancelledError:
            request.left()
            raise
        return Answered(status, answer, id, told_wait_s(lines))

    async def _note(self, out: Results, err: Results) -> None:
        """What was answered lasts, and the counts can be seen."""
        while True:
            await asyncio.sleep(self._config.look_s)
            await self._off(out.sync)
            await self._off(err.sync)
            counts = (self._record.completed, self._record.failed)
            if counts != self._saved:
                self._saved = counts
                await self._off(self._batches.save, self._record, sync=False)

    def _count(self, out: Results, err: Results) -> None:
        self._record.completed, self._record.failed = len(out.answered), len(err.answered)

    async def _conclude(self, out: Results, err: Results) -> None:
        """Every line has its answer, or none is asked for any more."""
        record = self._record
        if record.completed + record.failed < record.total:
            self._check_stopped()
            if record.cancelling_at_s is None:
                await self._off(self._expire, out, err)
                record.ends_as = "expired"
        if record.cancelling_at_s is not None:
            record.ends_as = "cancelled"
        self._count(out, err)
        await self._off(out.sync)
        await self._off(err.sync)
        record.has_output, record.has_errors = out.num_bytes > 0, err.num_bytes > 0
        record.ends_as = record.ends_as or "completed"
        await self._become("finalizing")

    def _expire(self, out: Results, err: Results) -> None:
        """Off the event loop: say of every other line that its time was over."""
        with open(self._batches.path(self._record, ".in"), "rb") as stream:
            while chunk := read_chunk(stream):
                for raw in chunk:
                    id = read_line(raw).custom_id
                    if id not in out.answered and id not in err.answered:
                        err.append(
                            id, error_line(new_id("batch_req_"), id, "batch_expired", _EXPIRED)
                        )

    async def _finalize(self) -> None:
        record = self._record
        for wanted, id, suffix, name in (
            (record.has_output, record.output_id, ".out", "output"),
            (record.has_errors, record.error_id, ".err", "error"),
        ):
            if wanted:
                now_s = self._now()
                made = FileRecord(
                    id,
                    record.tenant,
                    record.key_name,
                    f"{record.id}_{name}.jsonl",
                    "batch_output",
                    0,
                    now_s,
                    now_s + record.keep_s,
                )
                await self._off(self._files.adopt, self._batches.path(record, suffix), made)
        await self._become(record.ends_as)

    async def _pause(self, seconds: float) -> None:
        """Or until it is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
