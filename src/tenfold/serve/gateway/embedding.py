"""`/v1/embeddings`: its request fields and its answer, as floats or as base64 of float32.

The official client asks for base64 unless told otherwise. It knows no backend and no tier.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from sys import byteorder
from typing import Any, Literal

import msgspec
import orjson

from tenfold.serve.backends.base import Embeddings
from tenfold.serve.gateway.ask import Count, decode, extra_fields
from tenfold.serve.gateway.completion import texts
from tenfold.serve.gateway.refusal import Refusal

ENDPOINT = "/v1/embeddings"
PREFIX = "embd-"


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None


class EmbeddingAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A request for vectors, one per text."""

    model: str
    texts: tuple[str, ...]
    base64: bool
    dimensions: int | None
    extra: dict[str, Any]

    def content(self) -> list[Any]:
        """Everything in the request that changes its answer, as plain JSON values."""
        return [self.texts, self.base64, self.dimensions, self.extra]


def read(body: bytes) -> EmbeddingAsk:
    """The request in `body`. Raises Refusal with the field at fault."""
    request, plain = decode(body, EmbeddingRequest)
    wanted = texts(request.input, "input")
    for index, text in enumerate(wanted):
        if not text:
            raise Refusal(400, f"`input[{index}]` is an empty string.", param=f"input[{index}]")
    return EmbeddingAsk(
        model=request.model,
        texts=wanted,
        base64=request.encoding_format == "base64",
        dimensions=request.dimensions,
        extra=extra_fields(plain, EmbeddingRequest),
    )


def whole(ask: EmbeddingAsk, model: str, made: Embeddings) -> bytes:
    """The answer. Raises Refusal when other dimensions were asked for than the model has."""
    width = len(made.vectors[0]) if made.vectors else 0
    if ask.dimensions is not None and ask.dimensions != width:
        raise Refusal(
            400,
            f"`dimensions` is {ask.dimensions}, but this model's vectors have {width}.",
            param="dimensions",
        )
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if ask.base64 else vector,
        }
        for index, vector in enumerate(made.vectors)
    ]
    return orjson.dumps(
        {
            "object": "list",
            "data": data,
            "model": model,
            "usage": {"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens},
        }
    )


def _packed(vector: Sequence[float]) -> str:
    """Little-endian float32, as the protocol says, on every machine."""
    values = array("f", vector)
    if byteorder == "big":
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode()
