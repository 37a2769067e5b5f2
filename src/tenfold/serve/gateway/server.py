"""Serving a gateway: uvicorn on uvloop and httptools, with a drain that ends well.

Uvicorn's own signal handling raises the signal again after its shutdown, which would kill the process
before it has said goodbye; here SIGTERM and SIGINT begin the drain and the process ends by returning.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from tenfold.errors import ConfigError, InfrastructureError
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.connection import Connection

KEEP_ALIVE_S = 75
"""Idle connections are kept longer than the usual client's or proxy's pool keeps them (60 s), so that the
other side closes first and no request meets a closing connection."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Begin the drain on a signal, a second one ends it at once; nothing is raised afterwards."""
        loop = asyncio.get_running_loop()
        caught = []
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread
                loop.add_signal_handler(number, self.begin_drain)
                caught.append(number)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

    def begin_drain(self) -> None:
        self.force_exit = self.should_exit
        self._gateway.drain()
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 lets the machine choose. Raises InfrastructureError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise InfrastructureError(
            f"cannot listen: {error.strerror or error}",
            where=f"{host}:{port}",
            hint="choose another port, or 0 for a free one",
        ) from None
    sock.setblocking(False)
    return sock


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
    on_listening: Callable[[str, Callable[[], None]], None] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Returns when every event is written.

    `on_listening(url, drain)` is called once connections are accepted; `drain` does what SIGTERM does.
    With `on_ready(url)`, called once every backend has started, a backend that cannot start ends the
    serving and its error is raised; without it the gateway stays and tries again.
    Raises ConfigError, InfrastructureError (the port), and what `Gateway.startup` raises.
    """
    check_exposure(gateway, host)
    sock = listen(host, port)
    config = uvicorn.Config(
        gateway,
        http=Connection,
        ws="none",
        lifespan="off",  # startup runs below, so that its errors arrive as themselves
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=gateway.config.drain_s,  # type: ignore[arg-type]
    )
    server = _Server(config, gateway)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{sock.getsockname()[1]}"

    async def announce(tell: Callable[[str], None]) -> None:
        try:
            await gateway.fleet.settled()
        except BaseException:
            server.begin_drain()
            raise
        tell(url)

    announcing: asyncio.Task[None] | None = None
    try:
        await gateway.startup()
        if on_listening is not None:
            on_listening(url, server.begin_drain)
        if on_ready is not None:
            announcing = asyncio.create_task(announce(on_ready))
        await server.serve(sockets=[sock])
    finally:
        if announcing is not None and not announcing.done():
            announcing.cancel()
        await gateway.shutdown()
        sock.close()
    if announcing is not None and announcing.done() and not announcing.cancelled():
        announcing.result()


def run(
    gateway: Gateway,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    on_listening: Callable[[str, Callable[[], None]], None] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """`serve` on an event loop of its own: uvloop where there is one. Owns the process."""
    # The recorder's thread gives the interpreter back this soon when the event loop wants it; Python's
    # 5 ms would show in every answer that meets a batch being written.
    sys.setswitchinterval(0.0005)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(gateway, host, port, on_listening=on_listening, on_ready=on_ready))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop
