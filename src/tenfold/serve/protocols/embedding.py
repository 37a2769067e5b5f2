"""`/v1/embeddings`: its request fields and its answer, as floats or as base64 of float32.

The official client asks for base64 unless told otherwise. It knows no backend and no tier.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from sys import byteorder
from typing import Literal

import msgspec
import orjson

from tenfold.serve.backends.base import Embeddings
from tenfold.serve.protocols.ask import Ask, Count, OpenAIErrors, decode
from tenfold.serve.protocols.completion import num_texts, texts
from tenfold.serve.refusal import Refusal


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None


class Embedding(OpenAIErrors):
    """Texts in, one vector each out."""

    endpoint = "/v1/embeddings"
    prefix = "embd-"
    prompt = "input"

    def read(self, body: bytes) -> Ask:
        request, plain = decode(body, EmbeddingRequest)
        num_texts(request.input, "input")
        for index, text in enumerate(
            (request.input,) if isinstance(request.input, str) else request.input
        ):
            if text == "" or text == []:
                where = "input" if isinstance(request.input, str) else f"input[{index}]"
                raise Refusal(400, f"`{where}` is empty.", param=where)
        return Ask(self.endpoint, request.model, body, plain, request, max_tokens=0)

    def texts(self, ask: Ask) -> tuple[str, ...]:
        """What to embed, for a backend that generates. Raises Refusal for token ids."""
        return texts(ask.typed.input, "input")


def whole(ask: Ask, model: str, made: Embeddings) -> bytes:
    """The answer. Raises Refusal when other dimensions were asked for than the model has."""
    request: EmbeddingRequest = ask.typed
    width = len(made.vectors[0]) if made.vectors else 0
    if request.dimensions is not None and request.dimensions != width:
        raise Refusal(
            400,
            f"`dimensions` is {request.dimensions}, but this model's vectors have {width}.",
            param="dimensions",
        )
    packed = request.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if packed else vector,
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
