"""Serving a gateway: sockets, signals, and a drain that ends well.

SIGTERM and SIGINT begin the drain: no new connections, answers under way go on, events are written, and the
process ends by returning. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import signal
import socket
import ssl
import sys
from collections.abc import Callable

from tenfold.errors import ConfigError
from tenfold.serve.gateway.app import Gateway, refusal_head
from tenfold.serve.http.head import Headers
from tenfold.serve.http.limits import Limits
from tenfold.serve.http.server import AdmitHead, listen, serve_on
from tenfold.serve.protocols.messages_error import error_of
from tenfold.serve.refusal import Refusal

STRANGERS_BYTES = 64 * 1024
"""Largest body from somebody without a key, where keys are required."""
KEEP_ALIVE_S = 75
"""Idle connections are kept longer than the usual client's or proxy's pool keeps them (60 s), so that the
other side closes first and no request meets a closing connection."""


def check_exposure(gateway: Gateway, host: str) -> None:
    """Raises ConfigError for a gateway without keys beyond this machine."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and gateway.config.require_keys is not True:
        raise ConfigError(
            "a gateway that is reachable from other machines must require keys",
            where="host",
            seen=host,
            hint="set require_keys: true and make a key, or listen on 127.0.0.1",
        )


async def serve(
    gateway: Gateway,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    sockets: list[socket.socket] | None = None,
    tls: ssl.SSLContext | None = None,
    on_listening: Callable[[str, Callable[[], None]], None] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Returns when every event is written.

    `on_listening(url, drain)` is called once connections are accepted; `drain` does what SIGTERM does.
    With `on_ready(url)`, called once every backend has started, a backend that cannot start ends the
    serving and its error is raised; without it the gateway stays and tries again. `sockets`: listening ones
    that somebody else made, instead of `host` and `port`.
    Raises ConfigError, InfrastructureError (the port), and what `Gateway.startup` raises.
    """
    check_exposure(gateway, host)
    made = sockets or [listen(host, port)]
    shown = f"[{host}]" if ":" in host else host
    url = f"{'http' if tls is None else 'https'}://{shown}:{made[0].getsockname()[1]}"
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    at_once = asyncio.Event()

    def begin_drain() -> None:
        if ending.is_set():
            at_once.set()
        gateway.drain()
        ending.set()

    caught = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(number, begin_drain)
            caught.append(number)
    announcing: asyncio.Task[None] | None = None
    server = None
    try:
        await gateway.startup()
        server = await serve_on(
            made,
            gateway.handle,
            _limits(gateway),
            tls,
            refuse=_refuse,
            admit_head=_body_limit(gateway),
        )
        if on_listening is not None:
            on_listening(url, begin_drain)
        if on_ready is not None:
            announcing = asyncio.create_task(_announce(gateway, url, on_ready, begin_drain))
        await ending.wait()
        draining = asyncio.gather(
            server.drain(gateway.config.drain_s), gateway.batches.settled(gateway.config.drain_s)
        )
        hurry = asyncio.ensure_future(at_once.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, hurry):
            task.cancel()
    finally:
        if announcing is not None and not announcing.done():
            announcing.cancel()
        for number in caught:
            loop.remove_signal_handler(number)
        await gateway.shutdown()
        if server is not None:
            await server.cut()
        for sock in made:
            sock.close()
    if announcing is not None and announcing.done() and not announcing.cancelled():
        announcing.result()


async def _announce(
    gateway: Gateway, url: str, tell: Callable[[str], None], begin_drain: Callable[[], None]
) -> None:
    try:
        await gateway.fleet.settled()
    except BaseException:
        begin_drain()
        raise
    tell(url)


def _limits(gateway: Gateway) -> Limits:
    config = gateway.config
    return Limits(
        max_body_bytes=config.max_body_bytes,
        head_timeout_s=config.body_timeout_s,
        body_timeout_s=config.body_timeout_s,
        keep_alive_s=KEEP_ALIVE_S,
        max_connections=config.max_connections,
    )


def _body_limit(gateway: Gateway) -> AdmitHead:
    """Files may be larger than what is asked of a model."""
    usual = gateway.config.max_body_bytes

    def body_limit(method: str, path: str, headers: Headers) -> int:
        own = gateway.batches.body_limit(method, path, headers)
        if own is not None:
            return own
        # Whoever has no key is refused once its body is whole; until then it must not fill our memory.
        if gateway.keys.required and not gateway.keys.works(dict(headers)):
            return min(usual, STRANGERS_BYTES)
        return usual

    return body_limit


def _refuse(status: int, code: str, message: str, path: str) -> tuple[bytes, bytes]:
    """What is not even a request gets an error of its protocol all the same; OpenAI's where none can be told."""
    refusal = Refusal(status, message, code=code)
    return refusal_head(refusal, "none"), error_of(path, refusal, "none")


def run(
    gateway: Gateway,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    sockets: list[socket.socket] | None = None,
    tls: ssl.SSLContext | None = None,
    on_listening: Callable[[str, Callable[[], None]], None] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """`serve` on an event loop of its own: uvloop where there is one. Owns the process."""
    # The recorder's thread gives the interpreter back this soon when the event loop wants it; Python's
    # 5 ms would show in every answer that meets a batch being written.
    sys.setswitchinterval(0.0005)
    # What was made until now stays: the collector need not look through it again and again. A request
    # leaves no cycles behind, so it may come less often, too.
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(
            serve(
                gateway,
                host,
                port,
                sockets=sockets,
                tls=tls,
                on_listening=on_listening,
                on_ready=on_ready,
            )
        )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop
