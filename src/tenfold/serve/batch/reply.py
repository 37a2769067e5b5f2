"""What a route answers with, and lists as OpenAI's API pages through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

import orjson

from tenfold.serve.access.grant import Grant
from tenfold.serve.http.request import Request
from tenfold.serve.refusal import Refusal, loggable


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes = b""
    file: Path | None = None
    """Its content is the body."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let in."""

    grant: Grant
    request: Request
    rest: tuple[str, ...]
    """Of the path, behind the collection: nothing, an id, or an id and what to do with it."""

    def query(self) -> dict[str, str]:
        """Raises Refusal (400)."""
        try:
            found = parse_qs(
                self.request.query.decode("ascii"), keep_blank_values=True, max_num_fields=20
            )
        except (UnicodeDecodeError, ValueError):
            raise Refusal(400, "The query cannot be read.", code="invalid_query") from None
        return {name: values[-1] for name, values in found.items()}


class Shown(Protocol):
    @property
    def id(self) -> str: ...

    def shown(self) -> dict[str, Any]: ...


def json_reply(plain: Any) -> Reply:
    return Reply(orjson.dumps(plain))


def list_reply(items: Sequence[Shown], query: dict[str, str], *, default: int, most: int) -> Reply:
    """A page of them: `after` an id, at most `limit`. Raises Refusal (400)."""
    after = query.get("after")
    if after is not None:
        at = next((n for n, item in enumerate(items) if item.id == after), None)
        if at is None:
            raise Refusal(
                400,
                f"`after` names nothing here: {loggable(after)}",
                code="invalid_value",
                param="after",
            )
        items = items[at + 1 :]
    told = query.get("limit", str(default))
    limit = int(told) if told.isascii() and told.isdigit() and len(told) <= 6 else 0
    if not 1 <= limit <= most:
        raise Refusal(400, f"`limit` is 1 to {most}.", code="invalid_value", param="limit")
    page = [item.shown() for item in items[:limit]]
    return json_reply(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > limit,
        }
    )


def unknown_route(request: Request) -> Refusal:
    return Refusal(
        404,
        f"Unknown request URL: {loggable(request.method)} {loggable(request.path)}.",
        code="unknown_url",
    )


def wrong_method(request: Request, allowed: str) -> Refusal:
    return Refusal(
        405,
        f"{loggable(request.method)} is not allowed on {loggable(request.path)}; use {allowed}.",
        code="method_not_allowed",
        headers=((b"allow", allowed.encode()),),
    )
