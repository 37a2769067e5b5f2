"""What a chat answer says, as blocks one after the other: reasoning, text, a refusal, calls of tools.

Chat completions deliver calls interleaved, by index; Messages and Responses want one block at a time, opened
and shut. So a block that begins while a call's arguments are unfinished waits; everything else goes out in
the call of `feed` that brought it. What a block looks like in bytes is for the subclasses to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

from tenfold.serve.protocols.place import MISSHAPEN
from tenfold.serve.protocols.watch import data_of, events_of
from tenfold.serve.refusal import Refusal

_ODD = "The model's server sent a chunk that is none."
TEXT, REASONING, REFUSAL, CALL = "text", "reasoning", "refusal", "call"


class Block:
    """`pieces` in the order in which they came; joined they are the text, or a call's arguments."""

    __slots__ = ("id", "kind", "logprobs", "name", "pieces", "slot")

    def __init__(self, kind: str, slot: Any = None, id: str = "", name: str = "") -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.slot = slot
        """The `index` that the parts of a call share."""
        self.id = id
        self.name = name
        self.logprobs: list[Any] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def closable(self) -> bool:
        """Whether nothing can follow: a whole JSON object is never the beginning of a longer one."""
        if self.kind != CALL:
            return True
        try:
            orjson.loads(self.text)
        except orjson.JSONDecodeError:
            return False
        return True


def blocks_of(choice: Mapping[str, Any], id: str) -> list[Block]:
    """The blocks of a whole answer's choice; `id` is the answer's."""
    stream = _Gathered(id)
    message = choice.get("message")
    if isinstance(message, dict):
        stream.take(message, choice.get("logprobs"))
    return stream.blocks


class BlockStream:
    """Chat chunks in, another protocol's events out. `feed` wants whole events; it never raises: what goes
    wrong is said in the stream, after which nothing more comes out."""

    wants_reasoning = True

    def __init__(self, id: str) -> None:
        self.ended = False
        self.failed = False
        """It broke off: what came out is not an answer to keep."""
        self._id = id
        self._begun = False
        self._queue: deque[Block] = deque()
        """The first is open, unless it is a call without a name; the others wait."""
        self._open = False
        self._num_calls = 0
        self._through: dict[Any, str] = {}
        """Calls that are shut: their slot and id."""
        self._usage: Mapping[str, Any] = {}
        self._finish_reason = ""
        self._matched: str | None = None
        """The stop sequence that ended the answer, where the server tells."""

    # What a protocol has to say.

    def _begin(self, chunk: Mapping[str, Any]) -> bytes:
        raise NotImplementedError

    def _opened(self, block: Block) -> bytes:
        raise NotImplementedError

    def _grown(self, block: Block, piece: str, logprobs: Any) -> bytes:
        raise NotImplementedError

    def _shut(self, block: Block) -> bytes:
        raise NotImplementedError

    def _finish(self) -> bytes:
        raise NotImplementedError

    def _failed(self, refusal: Refusal) -> bytes:
        raise NotImplementedError

    # The chunks.

    def feed(self, part: bytes) -> bytes:
        """What these events say, at once; empty when they say nothing that is to be said now."""
        if self.ended:
            return b""
        if part.startswith(b"data: {") and part.find(b"\n") == len(part) - 2:
            return self._chunk(part[6:-2])
        out = []
        for event in events_of(part):
            data = data_of(event)
            if data and not self.ended:
                out.append(self.end() if data == b"[DONE]" else self._chunk(data))
        return b"".join(out)

    def end(self) -> bytes:
        """The upstream is through. Idempotent."""
        if self.ended:
            return b""
        try:
            return self._end()
        except MISSHAPEN:
            return self.fail(Refusal(502, _ODD))

    def _end(self) -> bytes:
        out = [] if self._begun else [self._start({})]
        while self._queue:
            block = self._queue[0]
            if not self._open:
                if block.kind == CALL and not block.name:
                    return b"".join(out) + self.fail(
                        Refusal(502, "The model called a tool without naming it.")
                    )
                out.append(self._opening(block))
            out.append(self._shutting(block))
        out.append(self._finish())
        self.ended = True
        return b"".join(out)

    def fail(self, refusal: Refusal) -> bytes:
        """The stream breaks off here; the error in the words of the protocol. Idempotent."""
        if self.ended:
            return b""
        head = b"" if self._begun else self._start({})
        self.ended = self.failed = True
        return head + self._failed(refusal)

    def _chunk(self, data: bytes) -> bytes:
        try:
            chunk = orjson.loads(data)
            choices = chunk.get("choices")
            choice = choices[0] if choices else None
            if choice is not None:
                delta = choice.get("delta")
                if (
                    self._open
                    and type(delta) is dict
                    and len(delta) == 1
                    and choice.get("finish_reason") is None
                    and not choice.get("logprobs")
                    and not chunk.get("usage")
                ):
                    # A few letters of text, as most chunks are.
                    piece = delta.get("content")
                    block = self._queue[0]
                    if block.kind == TEXT and len(self._queue) == 1 and type(piece) is str:
                        if not piece:
                            return b""
                        block.pieces.append(piece)
                        return self._grown(block, piece, None)
            return self._unusual(chunk, choice)
        except MISSHAPEN:
            return self.fail(Refusal(502, _ODD))

    def _unusual(self, chunk: Mapping[str, Any], choice: Mapping[str, Any] | None) -> bytes:
        error = chunk.get("error")
        if error:
            return self.fail(_refusal_of(error))
        out = [] if self._begun else [self._start(chunk)]
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        if choice is not None and choice.get("index", 0) == 0:
            delta = choice.get("delta")
            if isinstance(delta, dict):
                out.append(self.take(delta, choice.get("logprobs")))
            reason = choice.get("finish_reason")
            if isinstance(reason, str):
                self._finish_reason = reason
                self._matched = matched_stop(choice)
        return b"".join(out)

    def take(self, said: Mapping[str, Any], logprobs: Any = None) -> bytes:
        """A delta, or a whole message: to us they are the same."""
        out = []
        reasoning = said.get("reasoning_content") or said.get("reasoning")
        if reasoning and isinstance(reasoning, str) and self.wants_reasoning:
            out.append(self._say(REASONING, reasoning))
        content = said.get("content")
        if content:
            out.append(self._say(TEXT, _plain_text(content), logprobs))
        refusal = said.get("refusal")
        if refusal and isinstance(refusal, str):
            out.append(self._say(REFUSAL, refusal))
        old = said.get("function_call")
        if isinstance(old, dict):
            out.append(self._call({"index": "function_call", "function": old}))
        for part in said.get("tool_calls") or ():
            out.append(self._call(part))
        return b"".join(out)

    def _say(self, kind: str, piece: str, logprobs: Any = None) -> bytes:
        if not piece:
            return b""
        if not self._queue or self._queue[-1].kind != kind:
            self._queue.append(Block(kind))
        return self._more(self._queue[-1], piece, logprobs)

    def _call(self, part: Mapping[str, Any]) -> bytes:
        function = part.get("function") or {}
        id, name, arguments = (
            part.get("id") or "",
            function.get("name") or "",
            function.get("arguments"),
        )
        slot = part.get("index")
        block = self._waiting_call(slot, id, name)
        if block is None:
            if slot in self._through and (not id or id == self._through[slot]):
                if isinstance(arguments, str) and arguments.strip():
                    raise TypeError("a call's arguments went on after their end")
                return b""
            block = Block(CALL, slot)
            self._queue.append(block)
        block.id = block.id or id
        if name and not block.name:
            block.name = name
        if arguments is not None and not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        return self._more(block, arguments or "")

    def _waiting_call(self, slot: Any, id: str, name: str) -> Block | None:
        """The unfinished call that a part belongs to. Some servers give every call the index 0, or none:
        another id, together with a name, is another call."""
        for block in reversed(self._queue):
            if block.kind == CALL and (slot is None or block.slot == slot):
                another = (id and block.id and id != block.id and name) or (
                    slot is None and id and id != block.id
                )
                return None if another else block
        return None

    def _more(self, block: Block, piece: str, logprobs: Any = None) -> bytes:
        if piece:
            block.pieces.append(piece)
        told = logprobs.get("content") if isinstance(logprobs, dict) else None
        if told:
            block.logprobs += told
        if self._open and block is self._queue[0]:
            out = self._grown(block, piece, told) if piece else b""
            return out + self._advance() if len(self._queue) > 1 else out
        return self._advance()

    def _advance(self) -> bytes:
        """Shut what is finished and followed by something, open what is next."""
        out = []
        while self._queue:
            block = self._queue[0]
            if not self._open:
                if block.kind == CALL and not block.name:
                    break
                out.append(self._opening(block))
            if len(self._queue) == 1 or not block.closable:
                break
            out.append(self._shutting(block))
        return b"".join(out)

    def _start(self, chunk: Mapping[str, Any]) -> bytes:
        self._begun = True
        return self._begin(chunk)

    def _opening(self, block: Block) -> bytes:
        self._open = True
        self._named(block)
        out = self._opened(block)
        return out + self._grown(block, block.text, block.logprobs) if block.pieces else out

    def _named(self, block: Block) -> None:
        """A call has an id, also where the server gives it none."""
        if block.kind == CALL:
            block.id = block.id or f"call_{self._id.rpartition('_')[2]}_{self._num_calls}"
            self._num_calls += 1

    def _shutting(self, block: Block) -> bytes:
        self._open = False
        self._queue.popleft()
        if block.kind == CALL:
            self._through[block.slot] = block.id
        return self._shut(block)


class _Gathered(BlockStream):
    """For a message that is there as a whole: the blocks themselves, no bytes."""

    @property
    def blocks(self) -> list[Block]:
        for block in self._queue:
            self._named(block)
        return list(self._queue)

    def _advance(self) -> bytes:
        return b""


def matched_stop(choice: Mapping[str, Any]) -> str | None:
    """vLLM and SGLang tell which stop sequence it was."""
    for name in ("stop_reason", "matched_stop"):
        if isinstance(choice.get(name), str):
            return str(choice[name])
    return None


def _plain_text(content: Any) -> str:
    """Some servers say content in parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content if part.get("type") == "text")


def _refusal_of(error: Any) -> Refusal:
    """An error that a server sent as an event."""
    said = error if isinstance(error, dict) else {"message": error}
    status = said.get("code") if isinstance(said.get("code"), int) else said.get("status_code")
    code = said.get("code")
    return Refusal(
        status if isinstance(status, int) and 400 <= status <= 599 else 502,
        str(said.get("message") or "The model's server broke off.")[:2000],
        code=code if isinstance(code, str) else None,
    )
