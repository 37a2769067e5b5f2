"""What a page says about itself in ways made for machines: title, date of publication, language.

Takes only what is plain: meta tags, `time` and JSON-LD's datePublished. Guesses nothing from text.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from html import unescape
from typing import Any

from tenfold.data.html import tags

_TITLES = tuple(map(tags.fnv, (b"og:title", b"twitter:title")))
_DATES = tuple(
    map(
        tags.fnv,
        (
            b"article:published_time", b"datepublished", b"article.published", b"publishdate",
            b"publish-date", b"pubdate", b"dc.date.issued", b"dc.date", b"dcterms.created", b"date",
            b"sailthru.date", b"parsely-pub-date", b"time",
        ),
    )
)  # fmt: skip
"""Best first: what was made for the article before what may be anything's."""
_LANGUAGE = tags.fnv(b"lang")
_JSON_DATE = re.compile(rb'"datePublished"\s{0,8}:\s{0,8}"([^"]{8,40})"')
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?(?:[.,]\d+)?\s*(Z|[+-]\d\d:?\d\d)?)?"
)
_TAG = re.compile(r"[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]{2,8}){0,3}$")


def page(page: bytes, title_start: int, title_end: int, facts: Any) -> dict[str, Any]:
    """`title`, `date` and `language` of a page scanned by `scan.scan`, None where it does not say."""
    said: dict[int, bytes] = {}
    for name, start, end in facts.tolist():
        said.setdefault(name, page[start:end])
    title = next((said[name] for name in _TITLES if name in said), page[title_start:title_end])
    dates = [said[name] for name in _DATES[:2] if name in said]
    at = page.find(b'"datePublished"')
    if not dates and at >= 0 and (found := _JSON_DATE.match(page, at)):
        dates.append(found[1])
    dates += [said[name] for name in _DATES[2:] if name in said]
    language = said.get(_LANGUAGE, b"").decode("utf-8", "replace").strip()
    return {
        "title": _line(title),
        "date": next(filter(None, map(moment, dates)), None),
        "language": language if _TAG.match(language) else None,
    }


def _line(said: bytes) -> str | None:
    text = said[:2000].decode("utf-8", "replace")
    with suppress(ValueError):  # a reference of thousands of digits
        text = unescape(text)
    return " ".join(text.split()) or None


def moment(said: bytes) -> datetime | None:
    """A date as ISO 8601 writes it, in UTC; without a zone it is taken as UTC. None: it is none."""
    found = _ISO.match(said.decode("utf-8", "replace").strip())
    if not found:
        return None
    try:
        zone = (found[7] or "Z").replace("Z", "+00:00")
        clock = f"{found[4] or '00'}:{found[5] or '00'}:{found[6] or '00'}"
        made = datetime.fromisoformat(f"{found[1]}-{found[2]}-{found[3]}T{clock}{zone}")
        return made.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
