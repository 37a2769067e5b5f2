"""/v1/batches as OpenAI has it. Blocking: called off the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from tenfold.serve.batch.batches import ENDPOINTS, WINDOW, Batches
from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.batch.file_routes import check_keep_s
from tenfold.serve.batch.files import Files
from tenfold.serve.batch.reply import (
    Asked,
    Reply,
    json_reply,
    list_reply,
    unknown_route,
    wrong_method,
)
from tenfold.serve.protocols.ask import decode
from tenfold.serve.refusal import Refusal, loggable

BATCHES = "/v1/batches"

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Value = Annotated[str, msgspec.Meta(max_length=512)]


class ExpiresAfter(msgspec.Struct):
    anchor: Literal["created_at"]
    seconds: int


class NewBatch(msgspec.Struct):
    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: Annotated[dict[Key, Value], msgspec.Meta(max_length=16)] | None = None
    output_expires_after: ExpiresAfter | None = None


class BatchRoutes:
    def __init__(
        self, files: Files, batches: Batches, config: BatchConfig, made: Callable[[], None]
    ) -> None:
        """`made` is called, from another thread than the event loop's, when there is a new batch."""
        self._files = files
        self._batches = batches
        self._config = config
        self._made = made

    def answer(self, asked: Asked) -> Reply:
        """Raises Refusal, OSError."""
        request, tenant = asked.request, asked.grant.tenant
        match asked.rest:
            case ():
                if request.method == "POST":
                    return self._create(asked)
                if request.method != "GET":
                    raise wrong_method(request, "GET, POST")
                return list_reply(self._batches.all(tenant), asked.query(), default=20, most=100)
            case (id,):
                if request.method != "GET":
                    raise wrong_method(request, "GET")
                return json_reply(self._batches.get(tenant, id).shown())
            case (id, "cancel"):
                if request.method != "POST":
                    raise wrong_method(request, "POST")
                return json_reply(self._batches.cancel(tenant, id).shown())
        raise unknown_route(request)

    def _create(self, asked: Asked) -> Reply:
        wanted, _ = decode(asked.request.body, NewBatch)
        if wanted.endpoint not in ENDPOINTS:
            raise Refusal(
                400,
                f"`endpoint` is one of {', '.join(ENDPOINTS)}.",
                code="invalid_value",
                param="endpoint",
            )
        if wanted.completion_window != WINDOW:
            raise Refusal(
                400,
                f"The only `completion_window` is {WINDOW}.",
                code="invalid_value",
                param="completion_window",
            )
        tenant = asked.grant.tenant
        source = self._files.get(tenant, wanted.input_file_id)
        if source.purpose != "batch":
            raise Refusal(
                400,
                f"The file {loggable(source.id)} has the purpose {source.purpose}, not batch.",
                code="invalid_value",
                param="input_file_id",
            )
        keep_s = self._config.keep_s
        if wanted.output_expires_after is not None:
            keep_s = min(keep_s, check_keep_s(wanted.output_expires_after.seconds))
        record = self._batches.create(
            source,
            self._files.path(tenant, source.id),
            asked.grant.key_name,
            wanted.endpoint,
            wanted.metadata,
            keep_s,
        )
        self._made()
        return json_reply(record.shown())
