"""Files and batches of one gateway: who may come in, which route answers, who runs what was asked for.

A request is looked at here only when no model endpoint has its path. Nothing here is on the way of a
generation. It decides nothing about what a batch is.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import StoreError
from tenfold.serve.access.grant import Grant
from tenfold.serve.batch.batch_routes import BATCHES, BatchRoutes
from tenfold.serve.batch.batches import Batches
from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.batch.file_routes import FILES, FileRoutes
from tenfold.serve.batch.files import Files
from tenfold.serve.batch.home import Home
from tenfold.serve.batch.reply import Asked, Reply
from tenfold.serve.batch.runner import Runner
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.neighbour import check_neighbour
from tenfold.serve.http.fault import Fault
from tenfold.serve.http.head import Headers
from tenfold.serve.http.request import ClientGone, Request
from tenfold.serve.refusal import Refusal, refusal_of, retry_after

if TYPE_CHECKING:
    from tenfold.serve.gateway.app import Gateway

log = logging.getLogger("tenfold.gateway")

FORM_BYTES = 64 * 1024
"""What a form has beside its file."""
_SCOPES = ("inference", "batch")
_PART_BYTES = 256 * 1024
_JSON = b"content-type: application/json\r\n"
_BYTES = b"content-type: application/octet-stream\r\n"


class BatchService:
    """For one event loop. Without a folder every route says what is missing."""

    def __init__(
        self,
        gateway: Gateway,
        folder: Path | None,
        config: BatchConfig,
        now: Callable[[], float],
    ) -> None:
        """Raises StoreError for a folder that cannot be used."""
        self._gateway = gateway
        self._config = config
        self._tasks: set[asyncio.Task[None]] = set()
        self._routes: dict[str, Callable[[Asked], Reply]] = {}
        self._runner: Runner | None = None
        # Apart, so that no upload keeps answers from being written down.
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="files")
        self._run_threads = ThreadPoolExecutor(4, thread_name_prefix="batches")
        if folder is None:
            return
        try:
            home = Home(folder)
        except OSError as error:
            raise StoreError(
                f"files and batches cannot be kept: {error.strerror}", where=str(folder)
            ) from None
        files = Files(home, tenant_bytes=config.tenant_bytes, now=now)
        batches = Batches(home, keep_s=config.keep_s, now=now)
        self._runner = Runner(
            gateway, batches, files, config, functools.partial(_off, self._run_threads), now
        )
        self._routes = {
            FILES: FileRoutes(files, config).answer,
            BATCHES: BatchRoutes(files, batches, config, self._made).answer,
        }

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._runner is not None:
            self._runner.start()

    def drain(self) -> None:
        """Begin nothing more."""
        if self._runner is not None:
            self._runner.drain()

    async def settled(self, patience_s: float) -> None:
        """After `drain`: when the lines under way have their answers, or after so long."""
        if self._runner is not None:
            await self._runner.settled(patience_s)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        self._threads.shutdown()
        self._run_threads.shutdown()

    def body_limit(self, method: str, path: str, headers: Headers) -> int | None:
        """Bytes that a body for this path may have; None: as any other. Only who has a key may send a file:
        it is kept in memory until it is whole. Raises Fault."""
        if path != FILES or method != "POST" or not self._routes:
            return None
        found = dict(headers)
        try:
            self._admitted(found.get)
        except Refusal as refusal:
            raise Fault(refusal.status, refusal.code or "refused", refusal.message) from None
        return self._config.max_file_bytes + FORM_BYTES

    def takes(self, path: str) -> bool:
        return path.startswith((FILES, BATCHES)) and _split(path) is not None

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer, in a moment."""
        task = asyncio.get_running_loop().create_task(self._answer(request, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request, exchange: Exchange) -> None:
        exchange.tier = "none"
        head = b"x-request-id: %b\r\n" % exchange.id.encode()
        try:
            found = _split(request.path)
            assert found is not None
            exchange.endpoint, rest = found
            reply = await self._replied(request, exchange, rest)
            exchange.status = 200
            if reply.file is None:
                request.reply(200, _JSON + head, reply.body)
            else:
                await self._send(request, head, reply.file)
        except ClientGone:
            pass
        except BaseException as error:
            refusal = refusal_of(error)
            if refusal.status == 500 and isinstance(error, Exception):
                log.error("request %s failed", exchange.id, exc_info=error)
            exchange.status, exchange.tier = refusal.status, "refused"
            if request.begun:
                request.abort()
            else:
                head += b"".join(b"%b: %b\r\n" % header for header in refusal.headers)
                request.reply(refusal.status, _JSON + head, refusal.body())
            if not isinstance(error, Exception):
                raise
        finally:
            self._gateway.recorder.count(exchange)

    async def _replied(self, request: Request, exchange: Exchange, rest: tuple[str, ...]) -> Reply:
        grant = self._admitted(request.header)
        exchange.tenant, exchange.key_name = grant.tenant, grant.key_name
        if not self._routes:
            raise Refusal(
                501,
                "This gateway keeps no files and runs no batches: it has no state folder (state_dir).",
                code="no_state_folder",
            )
        if self._gateway.state != "serving":
            raise Refusal(
                503,
                f"The gateway is {self._gateway.state}.",
                code="gateway_" + self._gateway.state,
                headers=(retry_after(1),),
            )
        return await _off(
            self._threads, self._routes[exchange.endpoint], Asked(grant, request, rest)
        )

    def _admitted(self, header: Callable[[bytes], bytes | None]) -> Grant:
        """A key for inference or for batches. Raises Refusal."""
        keys = self._gateway.keys
        authorization, x_api_key = header(b"authorization"), header(b"x-api-key")
        try:
            grant = keys.admit(authorization, x_api_key, _SCOPES[0])
        except Refusal as refusal:
            if refusal.status != 403:
                raise
            grant = keys.admit(authorization, x_api_key, _SCOPES[1])
        if not grant.key_name:
            check_neighbour(header(b"host") or b"", header(b"origin") or b"")
        return grant

    async def _send(self, request: Request, head: bytes, path: Path) -> None:
        stream = await _off(self._threads, open, path, "rb")
        try:
            num_bytes = path.stat().st_size
            request.begin(200, _BYTES + head, num_bytes)
            while part := await _off(self._threads, stream.read, _PART_BYTES):
                request.write(part)
                await request.drained()
            request.finish()
        finally:
            stream.close()

    def _made(self) -> None:
        assert self._runner is not None
        self._loop.call_soon_threadsafe(self._runner.look)


async def _off(
    threads: ThreadPoolExecutor, function: Callable[..., Any], *told: Any, **named: Any
) -> Any:
    """Call it in a thread. Cancelled, this ends when the function has: nothing is written behind a claim that
    was let go, no file is closed under who uses it."""
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(threads, functools.partial(function, *told, **named))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait((future,))
        if not future.cancelled():
            future.exception()
        raise


def _split(path: str) -> tuple[str, tuple[str, ...]] | None:
    """(collection, the rest of the path in its parts); None for other paths."""
    for collection in (FILES, BATCHES):
        if path == collection:
            return collection, ()
        if path.startswith(collection + "/"):
            rest = tuple(path[len(collection) + 1 :].split("/"))
            return collection, rest if rest != ("",) else ()
    return None
