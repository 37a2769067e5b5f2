"""Records of a web service that answers in JSON, page after page, and only what is new the next time.

Pages are found by a `Link: rel="next"` header, a link or a token in the body, or a page number. A list
that is asked for by `since` and an unchanged first page (ETag) make a second reading cheap.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import urllib.parse
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import xxhash

from tenfold.data.sources.connector import Item, Quarantined
from tenfold.data.sources.fields import Fields
from tenfold.data.sources.json_value import parse
from tenfold.data.sources.limits import Limits
from tenfold.data.sources.packing import Packer, as_json
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.trust import check
from tenfold.data.sources.unpacking import Fault
from tenfold.data.sources.web_client import Answer, Patience, get, origin
from tenfold.errors import ConfigError, InputError

_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel\s*=\s*"?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """`kind: http`. Places: `URL#3`, the third item of that page. A token never leaves the URL's origin."""

    url: str
    licence: str
    name: str = ""
    """Default: the URL without its query."""
    authority: float = 0.5
    half_life_days: float | None = None
    items: str = ""
    """Where the list is in the body, for instance `data.items`; default: the body is the list."""
    next_field: str | None = None
    """Where the body has the next page's link, or its token if `cursor_param` is set."""
    cursor_param: str | None = None
    """The query parameter that takes the token."""
    page_param: str | None = None
    """The query parameter that takes the page's number, from 1 until a page is empty."""
    since_param: str | None = None
    """The query parameter that takes the largest value of `since_field` seen so far."""
    since_field: str | None = None
    token_file: str | None = None
    """A file whose content is sent as the header `Authorization`, for instance `Bearer abc`."""
    modality: Literal["text", "row"] = "text"
    text_field: str = "text"
    time_field: str | None = None
    licence_field: str | None = None
    columns: Mapping[str, str] | None = None
    max_pages: int = 1_000_000
    patience: Patience = dataclasses.field(default_factory=Patience)
    limits: Limits = dataclasses.field(default_factory=Limits)
    directory: str = dataclasses.field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError("http://... or https://...", where="url", seen=parts.scheme)
        if parts.password or parts.username:
            raise ConfigError("credentials belong in token_file", where="url")
        if self.cursor_param and not self.next_field:
            raise ConfigError(
                "cursor_param needs next_field, where the token is", where="next_field"
            )
        if self.since_param and not self.since_field:
            raise ConfigError("since_param needs since_field", where="since_field")
        bare = urllib.parse.urlunsplit(parts._replace(query="", fragment=""))
        object.__setattr__(self, "name", self.name or bare)
        check(self)
        Shape(self.columns)

    def observe(self) -> Any:
        """{etag} where the service has one, else {digest} of the first page."""
        answer = self._get(self.url, {})
        if isinstance(answer, Fault):
            raise InputError(answer.fact, where=self.name)
        if etag := answer.headers.get("etag"):
            return {"etag": etag}
        return {"digest": xxhash.xxh3_128_hexdigest(answer.body)}

    def read(self, cursor: str | None) -> Generator[Item, None, str | None]:
        state = json.loads(cursor) if cursor else {"etag": None, "since": None, "had": []}
        since, had = state["since"], set(state["had"])
        largest, at_largest = since, set(had)
        fields = Fields(
            text=self.text_field if self.modality == "text" else None,
            time=self.time_field,
            licence=self.licence_field,
        )
        shape = Shape(self.columns) if self.modality == "row" else None
        packer = Packer(self.name, self.licence, self.authority, self.limits, shape)
        url: str | None = self._first(since)
        etag, seen, whole, number = state["etag"], set[str](), True, 1
        while url is not None and number <= self.max_pages:
            if url in seen:
                yield from packer.add(Quarantined(url, "page_loop", "leads to a page read already"))
                whole = False
                break
            seen.add(url)
            first = number == 1
            answer = self._get(url, {"If-None-Match": etag} if first and etag else {})
            if isinstance(answer, Fault):
                if first:
                    raise InputError(answer.fact, where=self.name, hint="is the URL reachable?")
                yield from packer.add(Quarantined(url, answer.cause, answer.fact))
                whole = False
                break
            if first:
                if answer.status == 304:
                    return cursor
                etag = answer.headers.get("etag")
            parsed = parse(answer.body)
            if isinstance(parsed, Fault):
                yield from packer.add(Quarantined(url, parsed.cause, parsed.fact, answer.body))
                whole = False
                break
            listed = _inside(parsed.value, self.items)
            if not isinstance(listed, list):
                fact = f"no list under {self.items!r}"
                yield from packer.add(Quarantined(url, "field", fact, answer.body))
                whole = False
                break
            for index, item in enumerate(listed, 1):
                place = f"{url}#{index}"
                if not isinstance(item, dict):
                    fact = f"a {type(item).__name__}, not an object"
                    yield from packer.add(Quarantined(place, "json", fact))
                    continue
                if self.since_field is not None:
                    value = item.get(self.since_field)
                    digest = xxhash.xxh3_64_hexdigest(as_json(item))
                    if value == since and digest in had:
                        continue
                    largest, at_largest = _later(largest, at_largest, value, digest)
                yield from packer.add(fields.record(item, place, None, parsed.repaired))
            url = self._following(url, answer, parsed.value, number, bool(listed))
            number += 1
        yield from packer.flush()
        if not whole:
            return cursor  # what is missing is asked for again, from where this reading began
        return json.dumps({"etag": etag, "since": largest, "had": sorted(at_largest)})

    def _first(self, since: Any) -> str:
        given = {}
        if self.since_param and since is not None:
            given[self.since_param] = str(since)
        if self.page_param:
            given[self.page_param] = "1"
        return _with(self.url, given)

    def _following(
        self, url: str, answer: Answer, body: Any, number: int, anything: bool
    ) -> str | None:
        """The next page's URL; null: this was the last one."""
        if self.page_param:
            return _with(url, {self.page_param: str(number + 1)}) if anything else None
        if self.next_field:
            told = _inside(body, self.next_field)
            if not isinstance(told, str | int) or isinstance(told, bool) or told == "":
                return None
            if self.cursor_param:
                return _with(url, {self.cursor_param: str(told)})
            return urllib.parse.urljoin(url, str(told))
        link = _NEXT.search(answer.headers.get("link", ""))
        return urllib.parse.urljoin(url, link[1]) if link else None

    def _get(self, url: str, headers: Mapping[str, str]) -> Answer | Fault:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            return Fault("io", "the next page is neither http nor https")
        sent = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "tenfold",
            **headers,
        }
        if self.token_file is not None and origin(url) == origin(self.url):
            try:
                path = Path(os.path.join(self.directory, self.token_file))
                sent["Authorization"] = path.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                fact = f"cannot be read: {type(error).__name__}"
                raise InputError(fact, where=self.token_file) from None
        return get(url, sent, self.patience, self.limits)


def _inside(body: Any, path: str) -> Any:
    """`data.items` in {"data": {"items": ...}}; null where it is not there."""
    for name in path.split(".") if path else ():
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _with(url: str, given: Mapping[str, str]) -> str:
    """The URL with these parameters in place of those of the same names."""
    parts = urllib.parse.urlsplit(url)
    query = [
        (name, value)
        for name, value in urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
        if name not in given
    ]
    return urllib.parse.urlunsplit(
        parts._replace(query=urllib.parse.urlencode([*query, *given.items()]))
    )


def _later(largest: Any, had: set[str], value: Any, digest: str) -> tuple[Any, set[str]]:
    """The larger of two values of `since`, and the items that have it."""
    if value is None or isinstance(value, dict | list):
        return largest, had
    if largest is None:
        return value, {digest}
    try:
        if value > largest:
            return value, {digest}
    except TypeError:
        return largest, had
    return (largest, had | {digest}) if value == largest else (largest, had)
