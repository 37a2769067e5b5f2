"""What one client may take of a server: sizes, times and numbers. Values and their ranges; nothing acts here."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one server, all above 0. Raises ConfigError for a value out of range.

    Times are kept by one sweep per server: what is due ends up to two sweeps late, never early. A sweep
    goes every quarter of the shortest time, at most every second.
    """

    max_connections: int = 10_000
    """Open at once; one more is answered 503."""
    max_head_bytes: int = 64 * 1024
    """Request line and headers together; beyond them 431."""
    max_headers: int = 128
    """Header lines; beyond them 431."""
    max_target_bytes: int = 8 * 1024
    """Path and query of the request line; beyond them 414."""
    max_body_bytes: int = 8 * 1024 * 1024
    """Of a body whose path has no limit of its own; beyond them 413."""
    max_waiting_bytes: int = 64 * 1024
    """Of further requests that a client sends before its answer is done; then it is no longer read from."""
    head_timeout_s: float = 30.0
    """Until the first request's head is whole, and for every later one from its first byte; then 408."""
    body_timeout_s: float = 30.0
    """For a body, plus the time that what came would take at `min_body_bytes_per_s`; then 408."""
    min_body_bytes_per_s: int = 16 * 1024
    """A large upload may take long, if it comes at this pace after `body_timeout_s`."""
    keep_alive_s: float = 75.0
    """For an idle connection. Longer than the usual client's or proxy's pool keeps them (60 s), so that
    the other side closes first and no request meets a closing connection."""
    write_timeout_s: float = 60.0
    """For a client that takes nothing of its answer any more; then the connection is cut."""
    handshake_timeout_s: float = 10.0
    """For TLS to begin."""
    linger_s: float = 5.0
    """After a refusal: how long the rest of the refused body is read and thrown away, so that the client
    sees its answer and not a reset connection."""
    linger_bytes: int = 64 * 1024 * 1024
    """And how much of it."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigError(f"{field.name} must be above 0", seen=getattr(self, field.name))

    @property
    def sweep_s(self) -> float:
        """Seconds between two looks at all connections."""
        shortest = min(
            self.head_timeout_s,
            self.body_timeout_s,
            self.keep_alive_s,
            self.write_timeout_s,
            self.linger_s,
        )
        return min(1.0, shortest / 4)
