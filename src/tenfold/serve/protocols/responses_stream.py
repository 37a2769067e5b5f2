"""The stream of `/v1/responses`: chat chunks in, OpenAI's events out, each as soon as its chunk came.

It knows no sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.serve.protocols.blocks import CALL, REASONING, REFUSAL, TEXT, Block, BlockStream
from tenfold.serve.protocols.responses_answer import (
    ending,
    item,
    item_id,
    part,
    response,
    status_of,
)
from tenfold.serve.refusal import Refusal

_DELTAS = {
    TEXT: "response.output_text",
    REASONING: "response.reasoning_text",
    REFUSAL: "response.refusal",
    CALL: "response.function_call_arguments",
}
_ERROR_CODES = {400: "invalid_prompt", 429: "rate_limit_exceeded"}


class ResponsesStream(BlockStream):
    """One answer."""

    def __init__(self, request: Mapping[str, Any], id: str) -> None:
        super().__init__(id)
        self._request = request
        self._response: dict[str, Any] = {}
        self._items: list[dict[str, Any]] = []
        self._number = 0
        self._item_id = ""
        self._head = b""
        self._tail = b""

    def _begin(self, chunk: Mapping[str, Any]) -> bytes:
        self._response = response(self._request, self._id, chunk.get("model"), chunk.get("created"))
        return self._event("response.created", response=self._response) + self._event(
            "response.in_progress", response=self._response
        )

    def _opened(self, block: Block) -> bytes:
        index = len(self._items)
        self._item_id = item_id(block, self._id, index)
        kind = _DELTAS[block.kind] + ".delta"
        where = b'"item_id":"%b","output_index":%d' % (self._item_id.encode(), index)
        if block.kind != CALL:
            where += b',"content_index":0'
        self._head = b'event: %b\ndata: {"type":"%b",%b,"sequence_number":' % (
            kind.encode(),
            kind.encode(),
            where,
        )
        self._tail = b',"logprobs":[]}\n\n' if block.kind == TEXT else b"}\n\n"
        bare = Block(block.kind, id=block.id, name=block.name)
        new = item(bare, self._item_id, "in_progress")
        if block.kind == CALL:
            return self._event(
                "response.output_item.added", output_index=index, item=new | {"arguments": ""}
            )
        return self._event(
            "response.output_item.added", output_index=index, item=new | {"content": []}
        ) + self._event("response.content_part.added", **self._place(), part=part(bare))

    def _grown(self, block: Block, piece: str, logprobs: Any) -> bytes:
        number = self._number
        self._number = number + 1
        tail = (
            self._tail if not logprobs else b',"logprobs":%b}\n\n' % orjson.dumps(_told(logprobs))
        )
        return b'%b%d,"delta":%b%b' % (self._head, number, orjson.dumps(piece), tail)

    def _shut(self, block: Block) -> bytes:
        said: dict[str, Any] = {"text": block.text}
        out = b""
        if block.kind == CALL:
            if not block.pieces:
                out = self._grown(block, "{}", None)
            said = {"arguments": block.text or "{}"}
        elif block.kind == REFUSAL:
            said = {"refusal": block.text}
        elif block.kind == TEXT:
            said["logprobs"] = _told(block.logprobs)
        place = self._place()
        if block.kind == CALL:
            del place["content_index"]
        out += self._event(_DELTAS[block.kind] + ".done", **place, **said)
        if block.kind != CALL:
            out += self._event("response.content_part.done", **place, part=part(block))
        whole = item(block, self._item_id, status_of(self._finish_reason))
        out += self._event("response.output_item.done", output_index=len(self._items), item=whole)
        self._items.append(whole)
        return out

    def _finish(self) -> bytes:
        self._response |= ending(self._finish_reason, self._items, self._usage or None)
        return self._event(f"response.{self._response['status']}", response=self._response)

    def _failed(self, refusal: Refusal) -> bytes:
        error = {
            "code": _ERROR_CODES.get(refusal.status, "server_error"),
            "message": refusal.message,
        }
        self._response |= {"status": "failed", "error": error, "output": self._items}
        return self._event(
            "error",
            code=refusal.code or error["code"],
            message=refusal.message,
            param=refusal.param,
        ) + self._event("response.failed", response=self._response)

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": len(self._items), "content_index": 0}

    def _event(self, kind: str, **members: Any) -> bytes:
        number = self._number
        self._number = number + 1
        data = orjson.dumps({"type": kind, "sequence_number": number, **members})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _told(logprobs: list[Any]) -> list[dict[str, Any]]:
    """Log probabilities as events tell them."""

    def one(told: Mapping[str, Any]) -> dict[str, Any]:
        return {"token": told.get("token"), "logprob": told.get("logprob")}

    return [
        {**one(told), "top_logprobs": [*map(one, told.get("top_logprobs") or ())]}
        for told in logprobs
    ]
