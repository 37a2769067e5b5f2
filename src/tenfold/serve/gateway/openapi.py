"""The gateway described for programs: an OpenAPI 3.1 document of what it takes and answers.

Request bodies come from the structs that read them, so the two cannot drift apart; unknown fields are allowed
because they are passed on. Answers are described as far as the gateway itself makes them: what a server behind
it says goes through as it is. It serves nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

import tenfold
from tenfold.serve.batch.batch_routes import BATCHES, NewBatch
from tenfold.serve.batch.file_routes import FILES
from tenfold.serve.protocols.chat import ChatRequest
from tenfold.serve.protocols.completion import CompletionRequest
from tenfold.serve.protocols.embedding import EmbeddingRequest
from tenfold.serve.protocols.messages import MessagesRequest, Prompted
from tenfold.serve.protocols.responses import ResponsesRequest

PATH = "/openapi.json"
_REF = "#/components/schemas/{name}"
_POSTS: dict[str, tuple[type, str, str]] = {
    "/v1/chat/completions": (ChatRequest, "Error", "A chat completion"),
    "/v1/completions": (CompletionRequest, "Error", "A completion of a text"),
    "/v1/embeddings": (EmbeddingRequest, "Error", "Vectors of texts"),
    "/v1/responses": (ResponsesRequest, "Error", "A response"),
    "/v1/messages": (MessagesRequest, "AnthropicError", "A message, as Anthropic has it"),
    "/v1/messages/count_tokens": (Prompted, "AnthropicError", "How long a prompt is"),
    BATCHES: (NewBatch, "Error", "Begin a batch"),
}
_STREAMED = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"})
_EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
"""Each of a stream."""
_REFUSALS = {
    "400": "The request names a field at fault, or is no JSON",
    "401": "No key, or one that does not work",
    "403": "The key is not for this",
    "404": "No such model, file, batch or address",
    "405": "Another method is meant",
    "408": "The request did not arrive in time",
    "413": "The body is too large",
    "415": "The body is compressed",
    "429": "A limit, a budget or a queue is full; see Retry-After",
    "501": "Files and batches need a state folder, and there is none",
    "502": "The server behind failed",
    "503": "Starting, draining or overloaded",
    "504": "It took too long, or only a stored answer was wanted",
}


class ErrorFields(msgspec.Struct, forbid_unknown_fields=True):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(msgspec.Struct, forbid_unknown_fields=True):
    """As OpenAI has it."""

    error: ErrorFields


class AnthropicErrorFields(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    message: str


class AnthropicError(msgspec.Struct, tag_field="type", tag="error", forbid_unknown_fields=True):
    """As Anthropic has it."""

    error: AnthropicErrorFields
    request_id: str


class Model(msgspec.Struct):
    id: str
    object: str
    created: int
    owned_by: str
    digest: str
    context_tokens: int | None


class ModelList(msgspec.Struct):
    object: str
    data: list[Model]


def document(purge: type[msgspec.Struct]) -> bytes:
    """The document as JSON. `purge` is the body of /admin/purge."""
    kinds = [kind for kind, _, _ in _POSTS.values()]
    made, components = msgspec.json.schema_components(
        [*kinds, purge, Error, AnthropicError, Model, ModelList], ref_template=_REF
    )
    schema = dict(zip([*_POSTS, "/admin/purge"], made, strict=False))
    paths: dict[str, Any] = {
        path: {"post": _post(summary, schema[path], error, streamed=path in _STREAMED)}
        for path, (_, error, summary) in _POSTS.items()
    }
    paths["/admin/purge"] = {
        "post": _post("Forget stored answers", schema["/admin/purge"], "Error")
    }
    paths["/v1/models"] = {"get": _get("The models there are", _named("ModelList"))}
    paths["/v1/models/{model}"] = {"get": _get("One model", _named("Model"), "model")}
    paths[BATCHES]["get"] = _get("Batches, youngest first", {"type": "object"})
    paths[BATCHES + "/{batch}"] = {"get": _get("One batch", {"type": "object"}, "batch")}
    paths[FILES] = {"get": _get("Files, youngest first", {"type": "object"})}
    paths[FILES + "/{file}"] = {"get": _get("One file", {"type": "object"}, "file")}
    paths["/healthz"] = {"get": _get("Whether it can answer", {"type": "object"})}
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "tenfold gateway", "version": tenfold.__version__},
            "security": [{}, {"bearer": []}, {"key": []}],
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                },
            },
        }
    )


def _post(summary: str, body: Any, error: str, *, streamed: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if streamed:
        content["text/event-stream"] = {"schema": _EVENT}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "The answer", "content": content}, **_refusals(error)},
    }


def _get(summary: str, answer: Any, *names: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ],
        "responses": {
            "200": {"description": "It", "content": {"application/json": {"schema": answer}}},
            **_refusals("Error"),
        },
    }


def _refusals(error: str) -> dict[str, Any]:
    content = {"application/json": {"schema": _named(error)}}
    return {
        status: {"description": description, "content": content}
        for status, description in _REFUSALS.items()
    }


def _named(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}
