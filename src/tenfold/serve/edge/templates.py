"""Text with slots: `{{slot:NAME|CONTEXT|DEFAULT}}`, and the forms of it that edges process.

NAME is a lower-case identifier, CONTEXT one of `escaping.CONTEXTS`, DEFAULT percent-encoded text, so that a
marker inside a JSON string leaves the document valid JSON. `{{slot:}}` stands for the text `{{slot:`.
Text that would mean something to SSI or ESI is disarmed: a model's words never become directives.
Pure. It knows no values' origin and no server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from tenfold.errors import InputError
from tenfold.serve.edge.escaping import CONTEXTS, escape

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
MAX_DEFAULT_BYTES = 512
SLOT_PATH = "/.tenfold/slot/"
"""Where ESI includes find a slot: SLOT_PATH CONTEXT / NAME ? DEFAULT. Refused to everybody outside."""
_OPEN = b"{{slot:"
_MARKER = re.compile(
    rb"\{\{slot:(?:([a-z][a-z0-9_]{0,31})\|(json|html|attr|url|js)\|((?:[A-Za-z0-9_.~ -]|%[0-9A-Fa-f]{2})*))?\}\}"
)
_SSI_OPEN = re.compile(rb"<(?=!--#)")
_ESI_OPEN = re.compile(rb"<(?=/?esi:|!--esi|!\[CDATA\[)", re.IGNORECASE)
SSI_LESS_THAN = "tf_lt"
"""The nginx variable that holds `<`."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A blank. `default`, a text, stands there for who has no value; it is escaped like one."""

    name: str
    context: str
    default: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError("not a slot name", seen=self.name, hint="lower case, digits, _")
        if self.context not in CONTEXTS:
            raise InputError("no such context", seen=self.context, hint=", ".join(CONTEXTS))
        if "\0" in self.default or len(self.default.encode()) > MAX_DEFAULT_BYTES:
            raise InputError("a default is short text without NUL", where=self.name)


class Template:
    """Literal bytes and slots in turn. Immutable; two are equal when their parts are."""

    __slots__ = ("parts",)

    def __init__(self, parts: Iterable[bytes | Slot]) -> None:
        joined: list[bytes | Slot] = []
        for part in parts:
            if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
                joined[-1] += part
            elif part != b"":
                joined.append(part)
        self.parts = tuple(joined)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"Template({list(self.parts)!r})"

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(part for part in self.parts if isinstance(part, Slot))

    def fill(self, values: Mapping[str, str]) -> bytes:
        """The page for one user. An empty or absent value is the default."""
        return b"".join(
            part
            if isinstance(part, bytes)
            else escape(values.get(part.name) or part.default, part.context).encode()
            for part in self.parts
        )

    def neutral(self) -> bytes:
        """The form that `parse` reads."""
        return b"".join(
            part.replace(_OPEN, b"{{slot:}}")
            if isinstance(part, bytes)
            else f"{{{{slot:{part.name}|{part.context}|{quote(part.default, safe=' ')}}}}}".encode()
            for part in self.parts
        )

    def ssi(self) -> bytes:
        """For nginx: `echo` of variables that njs escapes. `if` only where there is a default: it costs."""
        return b"".join(
            _SSI_OPEN.sub(_ssi_echo(SSI_LESS_THAN), part)
            if isinstance(part, bytes)
            else _ssi_slot(part)
            for part in self.parts
        )

    def esi(self) -> bytes:
        """For Varnish: includes that it answers itself."""
        return b"".join(
            _ESI_OPEN.sub(b'<esi:include src="%blt"/>' % SLOT_PATH.encode(), part)
            if isinstance(part, bytes)
            else (
                f'<esi:include src="{SLOT_PATH}{part.context}/{part.name}'
                f'?{quote(part.default, safe="")}"/>'
            ).encode()
            for part in self.parts
        )


def _ssi_echo(variable: str) -> bytes:
    return f'<!--# echo var="{variable}" encoding="none" default="" -->'.encode()


def _ssi_slot(slot: Slot) -> bytes:
    variable = f"slot_{slot.name}_{slot.context}"
    if not slot.default:
        return _ssi_echo(variable)
    default = _SSI_OPEN.sub(_ssi_echo(SSI_LESS_THAN), escape(slot.default, slot.context).encode())
    return b'<!--# if expr="$%b" -->%b<!--# else -->%b<!--# endif -->' % (
        variable.encode(), _ssi_echo(variable), default,
    )  # fmt: skip


def parse(text: bytes) -> Template:
    """The template of a neutral text. Raises InputError with the place of a marker that is none."""
    parts: list[bytes | Slot] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        found = _MARKER.match(text, start)
        if found is None:
            seen = text[start : start + 60].decode("utf-8", "replace")
            raise InputError("not a slot marker", where=f"byte {start}", seen=seen)
        parts.append(text[at:start])
        if found[1] is None:
            parts.append(_OPEN)
        else:
            try:
                default = unquote_to_bytes(found[3]).decode()
            except UnicodeDecodeError:
                raise InputError("a default is not UTF-8", where=f"byte {start}") from None
            parts.append(Slot(found[1].decode(), found[2].decode(), default))
        at = found.end()
    parts.append(text[at:])
    return Template(parts)
