"""What the labelling page sends: JSON in, JSON with a piece of HTML out. The only thing the console writes.

The guard has seen to it that a request comes from a page of ours. Names travel in bodies, never in addresses.
Knows `Labelling` and the templates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jinja2
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tenfold.console.views.label import keys_of
from tenfold.errors import InputError, LeaseHeld, TenfoldError, UnknownName
from tenfold.factory.labelling import Labelling

if TYPE_CHECKING:
    from tenfold.data.label.queue import Item

MAX_BODY_BYTES = 16_384
NO_STORE = {"cache-control": "no-store"}

Deed = Callable[["Deeds", str, Mapping[str, Any]], "Item | None"]


class Deeds:
    """The endpoints below `/label/{queue}/`."""

    def __init__(self, labelling: Labelling, env: jinja2.Environment) -> None:
        self._labelling = labelling
        self._env = env

    def routes(self) -> list[Route]:
        posts = [
            Route(f"/label/{{queue}}/{name}", self._endpoint(deed), methods=["POST"])
            for name, deed in _DEEDS.items()
        ]
        return [
            *posts,
            Route("/label/{queue}/image/{record}", self.image),
            Route("/label/{queue}/labels.jsonl", self.export),
        ]

    def image(self, request: Request) -> Response:
        params = request.path_params
        item = self._labelling.queue(params["queue"]).item(params["record"])
        if not item.image_type:
            raise UnknownName("image", params["record"], ())
        return Response(item.image, media_type=item.image_type, headers=NO_STORE)

    def export(self, request: Request) -> Response:
        lines = self._labelling.export(request.path_params["queue"])
        headers = {**NO_STORE, "content-disposition": 'attachment; filename="labels.jsonl"'}
        return StreamingResponse(lines, media_type="application/jsonl", headers=headers)

    def next(self, name: str, said: Mapping[str, Any]) -> Item | None:
        return self._labelling.next(name, _text(said, "annotator"))

    def decide(self, name: str, said: Mapping[str, Any]) -> Item | None:
        label = None if said.get("label") is None else _text(said, "label")
        seconds = said.get("seconds", 0)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise InputError("seconds must be a number", where=name)
        annotator = _text(said, "annotator")
        self._labelling.decide(name, _text(said, "record"), annotator, label, float(seconds))
        return self._labelling.next(name, annotator)

    def undo(self, name: str, said: Mapping[str, Any]) -> Item | None:
        annotator = _text(said, "annotator")
        return self._labelling.undo(name, annotator) or self._labelling.next(name, annotator)

    def hold(self, name: str, said: Mapping[str, Any]) -> Item | None:
        record, annotator = _text(said, "record"), _text(said, "annotator")
        if not self._labelling.hold(name, record, annotator):
            raise LeaseHeld("this record went to somebody else meanwhile", where=name)
        return None

    def _endpoint(self, deed: Deed) -> Any:
        async def answer(request: Request) -> Response:
            body = b""
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    return _refused(413, "too much for one label")
            name = request.path_params["queue"]
            return await to_thread.run_sync(self._answer, deed, name, body)

        return answer

    def _answer(self, deed: Deed, name: str, body: bytes) -> Response:
        try:
            said = json.loads(body)
            if not isinstance(said, dict):
                raise ValueError("no object")
        except (ValueError, RecursionError):
            return _refused(400, "the page sent something that is no JSON object")
        try:
            item = deed(self, name, said)
            choices = self._labelling.queue(name).choices
        except LeaseHeld as error:
            return _refused(409, error.fact, error.hint)
        except UnknownName as error:
            return _refused(404, error.fact, error.hint)
        except InputError as error:
            return _refused(422, error.fact, error.hint)
        except TenfoldError as error:
            return _refused(503, error.fact, error.hint)
        html = self._env.get_template("label/item.html").render(
            item=item, name=name, choices=list(zip(choices, keys_of(choices), strict=True))
        )
        return JSONResponse(
            {"record": item.record if item else None, "html": html}, headers=NO_STORE
        )


_DEEDS: Mapping[str, Deed] = {
    "next": Deeds.next,
    "decide": Deeds.decide,
    "undo": Deeds.undo,
    "hold": Deeds.hold,
}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise InputError(f"the page must say {name}, as text")
    return value


def _refused(status: int, fact: str, hint: str | None = None) -> Response:
    return JSONResponse({"error": fact, "hint": hint or ""}, status, headers=NO_STORE)
