"""/v1/files as OpenAI has it. Blocking: called off the event loop."""

from __future__ import annotations

from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.batch.files import Files
from tenfold.serve.batch.multipart import FormPart, read_form
from tenfold.serve.batch.reply import (
    Asked,
    Reply,
    json_reply,
    list_reply,
    unknown_route,
    wrong_method,
)
from tenfold.serve.refusal import Refusal

FILES = "/v1/files"
PURPOSES = ("batch", "user_data", "fine-tune")
_LEAST_KEEP_S, _MOST_KEEP_S = 3600, 2_592_000
"""What `expires_after` may say, as at OpenAI."""
_FIELDS = frozenset({"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"})
_MOST_LISTED = 10_000


class FileRoutes:
    def __init__(self, files: Files, config: BatchConfig) -> None:
        self._files = files
        self._config = config

    def answer(self, asked: Asked) -> Reply:
        """Raises Refusal, OSError."""
        request, tenant = asked.request, asked.grant.tenant
        match asked.rest:
            case ():
                if request.method == "POST":
                    return self._create(asked)
                if request.method != "GET":
                    raise wrong_method(request, "GET, POST")
                return self._list(asked)
            case (id,):
                if request.method == "DELETE":
                    self._files.delete(tenant, id)
                    return json_reply({"id": id, "object": "file", "deleted": True})
                if request.method != "GET":
                    raise wrong_method(request, "GET, DELETE")
                return json_reply(self._files.get(tenant, id).shown())
            case (id, "content"):
                if request.method != "GET":
                    raise wrong_method(request, "GET")
                self._files.get(tenant, id)
                return Reply(file=self._files.path(tenant, id))
        raise unknown_route(request)

    def _list(self, asked: Asked) -> Reply:
        query = asked.query()
        items = self._files.all(asked.grant.tenant)
        if "purpose" in query:
            items = [item for item in items if item.purpose == query["purpose"]]
        order = query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise Refusal(400, "`order` is asc or desc.", code="invalid_value", param="order")
        if order == "asc":
            items.reverse()
        return list_reply(items, query, default=_MOST_LISTED, most=_MOST_LISTED)

    def _create(self, asked: Asked) -> Reply:
        request = asked.request
        fields: dict[str, FormPart] = {}
        for part in read_form(request.header(b"content-type"), request.body):
            if part.name in fields:
                raise _wrong(part.name, "stands twice in the form")
            if part.name not in _FIELDS:
                raise _wrong(part.name, "is no field of a file")
            fields[part.name] = part
        for name in ("file", "purpose"):
            if name not in fields:
                raise _wrong(name, "is missing")
        source = fields["file"]
        if not source.filename:
            raise _wrong("file", "has no file name")
        if not source.filename.isprintable() or len(source.filename) > 255:
            raise _wrong(
                "file", "has a name of more than 255 characters, or with control characters"
            )
        if len(source.content) > self._config.max_file_bytes:
            raise Refusal(
                413,
                f"A file has at most {self._config.max_file_bytes:,} bytes.",
                code="request_too_large",
            )
        purpose = _short(fields["purpose"])
        if purpose not in PURPOSES:
            raise _wrong("purpose", "is one of " + ", ".join(PURPOSES))
        record = self._files.create(
            asked.grant.tenant,
            asked.grant.key_name,
            source.filename,
            purpose,
            [source.content],
            num_bytes=len(source.content),
            keep_s=self._keep_s(fields),
        )
        return json_reply(record.shown())

    def _keep_s(self, fields: dict[str, FormPart]) -> float:
        anchor, seconds = (fields.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
        if anchor is None and seconds is None:
            return self._config.keep_s
        if anchor is None or _short(anchor) != "created_at":
            raise _wrong("expires_after[anchor]", "is created_at")
        told = "" if seconds is None else _short(seconds)
        return min(self._config.keep_s, check_keep_s(int(told) if told.isdecimal() else 0))


def check_keep_s(seconds: int) -> int:
    """Raises Refusal (400) for an `expires_after` that OpenAI would not take."""
    if not _LEAST_KEEP_S <= seconds <= _MOST_KEEP_S:
        raise _wrong("expires_after[seconds]", f"is {_LEAST_KEEP_S} to {_MOST_KEEP_S}")
    return seconds


def _short(part: FormPart) -> str:
    if len(part.content) > 100:
        return ""
    try:
        return bytes(part.content).decode()
    except UnicodeDecodeError:
        return ""


def _wrong(field: str, why: str) -> Refusal:
    shown = field[:100] if field.isprintable() else "a field"
    return Refusal(400, f"`{shown}` {why}.", code="invalid_value", param=shown)
