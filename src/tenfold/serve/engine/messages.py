"""What the gateway and the engine process say to each other, and how it is framed.

Four bytes of length (big endian), then one msgpack value: a tagged struct. Ids are numbers that the
client gives out, so that two callers using the same request id do not meet. This file knows nothing of
weights, and nothing of asyncio.
"""

from __future__ import annotations

import socket
import struct

import msgspec

from tenfold.errors import BackendError, InputError, TenfoldError, UnknownName
from tenfold.serve.backends.base import (
    BackendRefusal,
    Generation,
    ModelCard,
    PromptTooLong,
    TokenUsage,
)

HEADER = struct.Struct(">I")
MAX_FRAME_BYTES = 256 * 2**20
"""Far above any real frame: a larger one means that the two ends have lost step."""


class Generate(msgspec.Struct, frozen=True, tag="generate"):
    id: int
    request: Generation


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    id: int


class Embed(msgspec.Struct, frozen=True, tag="embed"):
    id: int
    texts: list[str]


Request = Generate | Cancel | Embed


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The weights are in memory. The first message of every engine that starts."""

    card: ModelCard
    num_slots: int
    exact: bool
    """Whether rows were seen to be bit-equal whatever else is in the batch (see `network`)."""


class Fault(msgspec.Struct, frozen=True):
    """An error of ours as a record, so that the other side raises the same one."""

    kind: str
    fact: str
    where: str | None = None
    seen: str | None = None
    hint: str | None = None
    num_tokens: int = 0
    limit_tokens: int = 0
    status: int = 0
    """Of a refusal; the next two belong to it."""
    code: str | None = None
    retry_after_s: float | None = None


class Dead(msgspec.Struct, frozen=True, tag="dead"):
    """The engine cannot start or cannot go on; the process ends after it."""

    fault: Fault


class Delta(msgspec.Struct, frozen=True, array_like=True):
    """What one step added to one answer."""

    id: int
    text: str
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    compute_s: float = 0.0


class Deltas(msgspec.Struct, frozen=True, tag="deltas"):
    """All that one step made, in one frame: one write for the engine, one wake-up for the gateway."""

    deltas: list[Delta]
    busy_s: float
    """Engine seconds spent since it started; equals the `compute_s` of all requests summed."""
    num_running: int
    num_waiting: int


class Embedded(msgspec.Struct, frozen=True, tag="embedded"):
    id: int
    vectors: list[list[float]]
    prompt_tokens: int
    compute_s: float


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    id: int
    fault: Fault


Reply = Ready | Dead | Deltas | Embedded | Failed

_encoder = msgspec.msgpack.Encoder()
requests = msgspec.msgpack.Decoder(Request)
replies = msgspec.msgpack.Decoder(Reply)


def frame(message: Request | Reply) -> bytes:
    body = _encoder.encode(message)
    return HEADER.pack(len(body)) + body


def body_bytes(header: bytes) -> int:
    """The length of the body that follows. Raises BackendError on a header that cannot be one."""
    (num_bytes,) = HEADER.unpack(header)
    if num_bytes > MAX_FRAME_BYTES:
        raise BackendError(
            "the line between gateway and engine carries something else than frames", seen=num_bytes
        )
    return num_bytes


def receive(line: socket.socket) -> bytes | None:
    """One body, waiting for it; None when the other side has hung up."""
    header = _exactly(line, HEADER.size)
    return None if header is None else _exactly(line, body_bytes(header))


def _exactly(line: socket.socket, num_bytes: int) -> bytes | None:
    buffer = bytearray(num_bytes)
    view = memoryview(buffer)
    while view:
        got = line.recv_into(view)
        if got == 0:
            return None
        view = view[got:]
    return bytes(buffer)


def fault_of(error: Exception) -> Fault:
    """Any exception as a record; one that is not ours becomes a BackendError that names it."""
    if isinstance(error, PromptTooLong):
        return Fault(
            "PromptTooLong",
            error.fact,
            num_tokens=error.num_tokens,
            limit_tokens=error.limit_tokens,
        )
    if isinstance(error, BackendRefusal):
        return Fault(
            "BackendRefusal",
            error.fact,
            where=error.where,
            hint=error.hint,
            status=error.status,
            code=error.code,
            retry_after_s=error.retry_after_s,
        )
    if not isinstance(error, TenfoldError):
        return Fault("BackendError", f"the engine failed: {type(error).__name__}: {error}")
    return Fault(
        type(error).__name__,
        error.fact,
        where=error.where,
        seen=None if error.seen is None else repr(error.seen),
        hint=error.hint,
    )


def error_of(fault: Fault) -> TenfoldError:
    """The exception that a fault stands for. What is no fault of the request is a BackendError."""
    if fault.kind == "PromptTooLong":
        return PromptTooLong(fault.num_tokens, fault.limit_tokens)
    if fault.kind == "UnknownName":
        error = UnknownName("name", "", (), where=fault.where, hint=fault.hint)
        error.fact = fault.fact
        return error
    if fault.kind == "BackendRefusal":
        return BackendRefusal(
            fault.fact,
            status=fault.status,
            code=fault.code,
            retry_after_s=fault.retry_after_s,
            where=fault.where,
            hint=fault.hint,
        )
    kind = InputError if fault.kind == "InputError" else BackendError
    return kind(fault.fact, where=fault.where, seen=fault.seen, hint=fault.hint)
