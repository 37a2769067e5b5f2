"""Templates: everything is escaped, figures have filters, links know the prefix. Knows no view."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from urllib.parse import quote, urlencode

import jinja2

from tenfold.console import figures
from tenfold.console.commands import command
from tenfold.console.states import sign

STATIC_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def environment(prefix: str) -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("tenfold.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("count", "size", "duration", "latency", "money", "energy", "share", "clock"):
        env.filters[name] = getattr(figures, name)
    for name in ("moment", "iso", "short", "digits", "ends"):
        env.filters[name] = getattr(figures, name)
    env.globals.update(
        sign=sign,
        figure=figures.figure,
        command=command,
        url=lambda *parts, **params: url(prefix, *parts, **params),
        static=lambda name: f"{prefix}/static/{name}?v={fingerprint(name)}",
    )
    return env


def url(prefix: str, /, *parts: str, **params: str | None) -> str:
    """A link inside the console; parts and parameters may hold anything."""
    path = "/".join(quote(part, safe="@") for part in parts)
    query = urlencode({name: value for name, value in params.items() if value})
    return f"{prefix}/{path}" + (f"?{query}" if query else "")


@cache
def static_files() -> dict[str, bytes]:
    """Every vendored file, read once; there is no way to name one that is not in the list."""
    folder = files("tenfold.console") / "static"
    return {
        item.name: item.read_bytes()
        for item in folder.iterdir()
        if item.name.endswith(tuple(STATIC_TYPES))
    }


@cache
def fingerprint(name: str) -> str:
    return hashlib.sha256(static_files()[name]).hexdigest()[:12]


def text_of(name: str) -> str:
    """A vendored file as text, for the report, which carries its own."""
    return static_files()[name].decode()
