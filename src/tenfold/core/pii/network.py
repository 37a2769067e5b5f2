"""Addresses of machines and pages: IPv4, IPv6, MAC, URL. Versions, networks and reserved ranges are none."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from tenfold.core.pii.numbers import Run, before, within

_IPV4 = re.compile(r"(?<![\w.+-])(?:\d{1,3}\.){3}\d{1,3}(?![\w/-])(?!\.\d)", re.ASCII)
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{1,4}:){1,6}|[0-9A-Fa-f]{0,4}::(?:[0-9A-Fa-f]{1,4}:){0,5})"
    r"(?:(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-Fa-f]{0,4}:){0,5}[0-9A-Fa-f]{0,4})(?![\w:/])",
    re.ASCII,
)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:version|release|\bver\.?|\bv|section|chapter|rfc|build|kernel|[=~<>]=?)\s*$"
)
_ADDRESS_BEFORE = re.compile(r"(?i)\b(?:ip|ipv[46]|address|addr|host|server|ping|client|peer)\b")
_DOCUMENTATION = tuple(
    ipaddress.ip_network(block)
    for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
"""RFC 5737, RFC 3849, RFC 9637."""


def ips(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """Hosts only: networks (`/24`), reserved ranges and what reads like a version number are left alone."""
    for match in within(_IPV4, text, found):
        ahead = before(text, match.start(), 24)
        octets = match[0].split(".")
        if _VERSION_BEFORE.search(ahead) or any(o != "0" and o[0] == "0" for o in octets):
            continue
        if max(map(int, octets)) <= 40 and not _ADDRESS_BEFORE.search(ahead):
            continue  # 2.6.18.6 is a version or a section until something says address
        if _is_host(match[0]):
            yield match.span()
    if "::" in text or text.count(":") >= 7:
        for match in _IPV6.finditer(text):
            groups = [group for group in match[0].split(":") if group]
            if len(groups) >= 3 and re.search(r"\d", match[0]) and _is_host(match[0]):
                yield match.span()


def _is_host(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_link_local:
        return False
    if ip.version == 4 and ip.packed[0] in (0, 255):
        return False
    return not any(ip in block for block in _DOCUMENTATION if block.version == ip.version)


_MAC = re.compile(
    r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}(?P<s>[:-])[0-9A-Fa-f]{2}(?:(?P=s)[0-9A-Fa-f]{2}){4}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w:-])(?!\.\w)"
)
"""EUI-48 as IEEE 802 writes it, and as routers do."""


def macs(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """Of one device: the sender's bit says it is no group, and it is not all zeros."""
    if text.count(":") < 5 and text.count("-") < 5 and text.count(".") < 2:
        return
    for match in _MAC.finditer(text):
        raw = bytes.fromhex(re.sub("[:.-]", "", match[0]))
        if any(raw) and not raw[0] & 1:
            yield match.span()


_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_PATH = r"(?::\d{2,5})?(?:[/?#][^\s<>\"'`{}|\\^\[\]\0]*)?"
_SCHEMED = re.compile(
    rf"(?i:https?|ftp)://(?:[^\s/@<>\"\0]{{1,64}}@)?(?:{_LABEL}\.){{0,9}}{_LABEL}" + _PATH
)
_HOSTED = re.compile(rf"(?:{_LABEL}\.){{1,9}}[^\W\d_]{{2,24}}(?![\w@-])" + _PATH)
_TOP = re.compile(r"\.(?:com|net|org|info|biz|edu|gov)(?![\w@-])(?!\.[^\W\d_]{3})")
"""Hosts without a scheme or `www.`: only under domains that are no file names (`setup.py`, `x.sh`)."""
_HOST_END = re.compile(r"[\w.-]{1,80}$")
_CLOSING = ".,;:!?)'\"*"


def urls(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """With a scheme, beginning with `www.`, or a bare host under one of the commonest top domains."""
    taken = 0
    for start, pattern in sorted(
        {**dict(_bare(text)), **dict(_www(text)), **dict(_schemed(text))}.items()
    ):
        if start >= taken and (match := pattern.match(text, start)) is not None:
            taken = start + len(match[0].rstrip(_CLOSING))
            yield start, taken


def _schemed(text: str) -> Iterator[tuple[int, re.Pattern[str]]]:
    at = text.find("://")
    while at >= 0:
        for scheme in ("https", "http", "ftp"):
            start = at - len(scheme)
            if (
                start >= 0
                and text[start:at].lower() == scheme
                and not text[start - 1 : start].isalnum()
            ):
                yield start, _SCHEMED
                break
        at = text.find("://", at + 3)


def _www(text: str) -> Iterator[tuple[int, re.Pattern[str]]]:
    at = text.find("www.")
    while at >= 0:
        ahead = text[at - 1 : at]
        if not (ahead.isalnum() or ahead in (".", "/", "@", "-", "_")):
            yield at, _HOSTED
        at = text.find("www.", at + 4)


def _bare(text: str) -> Iterator[tuple[int, re.Pattern[str]]]:
    for top in _TOP.finditer(text):
        host = _HOST_END.search(before(text, top.start(), 80))
        if host is not None and host[0][0].isalnum():
            start = top.start() - len(host[0])
            if text[start - 1 : start] not in ("@", "/", ":", "%", "+"):
                yield start, _HOSTED
