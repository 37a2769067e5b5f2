"""Phone numbers: by their form where a number plan makes it unmistakable, else by a word beside them.

Strong forms are E.164 with a plus sign and a country code that is given out (ITU-T E.164, annex), the North
American plan, and national numbers with their trunk zero in groups. Everything else with 7 to 15 digits is
a phone number when a word says so; a word that says otherwise (order, invoice, ISBN) beats the form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tenfold.core.pii.numbers import Run, after, before, digits_of, within

COUNTRY = (
    r"(?:1|7|2(?:0|7|1[1-368]|[2-6]\d|9[01789])|3(?:[0-469]|[578]\d)|4(?:[013-9]|2[013])|5(?:[1-8]|[09]\d)"
    r"|6(?:[0-6]|[7-9]\d)|8(?:[1246]|[05]\d|7[08]|8[0-38])|9(?:[0-58]|[679]\d))"
)
"""Country codes that are given out (ITU-T E.164, annex)."""
_S = "[ .\u00a0\u2010\u2011/-]"
_EXTENSION = r"(?:[ ,]?\ ?(?:x|ext\.?|extension|\#)\ ?\d{1,6}(?!\d))?"
_END = r"(?![\w]|[.-]\d)"
_INTERNATIONAL = re.compile(
    # +46 (0)8 928 571 38, +49-30-901820, (+49) 30 901820, 0049 30 901820
    rf"(?<![\w.+-])(?<!\d\ )(?:\+{COUNTRY}|\(\+{COUNTRY}\)|\+\({COUNTRY}\)|00{COUNTRY}(?={_S}))"
    rf"(?:{_S}?\(\d{{1,5}}\))?(?:{_S}?\d{{1,12}}){{1,7}}{_EXTENSION}{_END}",
    re.ASCII,
)
_NATIONAL = re.compile(
    r"(?<![\w.+/-])(?<!\d\ )(?:"
    # 001-518-640-0854, (579)888-3058, 905-674-3793, 259.735.7502: the North American plan
    r"(?:(?:001|\+?1)[ .-])?(?:\([2-9]\d{2}\)[ -]?|[2-9]\d{2}(?P<s>[.-]))[2-9]\d{2}(?(s)(?P=s)|[ .-])\d{4}"
    # 0490 75 40 81, 03.93.92.16.85, 020 7946 0958, 08-26 01 81: a trunk zero and three groups or more
    rf"|0[1-9]\d{{0,3}}{_S}\d{{2,4}}{_S}\d{{2,4}}(?:{_S}\d{{2,4}}){{0,2}}"
    # (030) 901820, (01204) 54 71 12, (08) 8747 6301: a trunk zero in brackets
    rf"|\(0[1-9]\d{{0,4}}\){_S}?\d{{2,8}}(?:{_S}\d{{2,4}}){{0,3}}"
    # (11) 91234-5678: an area and eight or nine digits, as in Latin America
    r"|\(\d{2,3}\)\ ?\d{3,5}-\d{4}"
    # 8 (246) 281-94-82
    r"|(?:[78]\ ?)?\(\d{3}\)\ ?\d{3}[- ]\d{2}[- ]?\d{2}"
    # 0961-7596216, 089/1234567, 07700 900123
    r"|0[1-9]\d{1,3}[-/]\d{6,8}|07\d{3}\ \d{6}|07\d{3}\ \d{3}\ \d{3}"
    rf"){_EXTENSION}{_END}",
    re.ASCII,
)
_ANY = re.compile(
    rf"(?<![\w.+-])\(?\+?\d(?:(?:{_S}|\)[ -]?|[ -]?\(){{0,1}}\d){{6,14}}{_EXTENSION}{_END}",
    re.ASCII,
)
_KIND = (
    r"phone|telephone|tel|telef[oó]no?|telefone|t[ée]l[ée]phone|telefon(?:nummer)?|mobile|mobil|m[óo]vil|celular"
    r"|cellulare|handy|contact[eo]?|contatto|kontakt|gsm|cell(?:phone)?|landline|fax|whatsapp|sms|hotline|voicemail"
)
_FILLER = r"(?:[\s_-](?:me|us|him|her|them|at|on|back|number|numbers|no|nr|num|is|are|to|my|our|your|was|under|home|work|office)\b\.?)"
_LABELLED = re.compile(
    rf"(?i:(?<!\[)\b(?:{_KIND}|desk|call|calling|dial|ring|text|texting)\b{_FILLER}{{0,4}}"
    r"|\breach(?:ed)?\ (?:me|us|him|her|them)\ (?:at|on))[.:,#=\s-]{0,5}\(?\+?$"
)
"""Right before the number."""
_TRAILED = re.compile(rf"[ ,(-]{{1,3}}(?i:office|home|work|desk|{_KIND})\b")
"""Right behind it."""
_SPOKEN = re.compile(
    rf"(?i)\b(?:{_KIND}|calls?|called|dial|ring|rang|text(?:s|ed)?|messages?|contact|reach|answer(?:s|ing|ed)?"
    r"|speak|talk)\b[^\d.!?;\0]{0,32}$"
)
"""In the same sentence, no other number between: enough for digits in groups, or for nine to twelve."""
_WRITTEN = re.compile(rf"\(?\d{{2,5}}\)?(?:{_S}\d{{2,8}}){{1,4}}$|\d{{9,12}}$", re.ASCII)
_OTHERWISE = re.compile(
    r"(?i)\b(?:isbn|issn|doi|order|invoice|ticket|serial|part|sku|tracking|account|acct|iban|ref(?:erence)?|case"
    r"|licen[cs]e|policy|zip|postcode|version|build|pid|id|port|lines?|pages?|bytes|card|ssn)\b"
    r"(?:[ :#.-]|no\b|nr\b|numbers?\b|is\b|id\b){0,5}\(?\+?$"
)
_NEVER = re.compile(
    r"(?:19|20)\d{2}(?P<a>[-./ ])[01]?\d(?P=a)[0-3]?\d(?!\d)|\d{1,2}(?P<b>[-./ ])\d{1,2}(?P=b)(?:19|20)\d{2}(?!\d)"
    r"|.*(?:19|20)\d{2}-[01]\d-[0-3]\d$|\d{1,3}(?:\.\d{1,3}){3}$"
)
"""Dates, also behind another number, and four numbers with dots."""


def phones(text: str, found: Sequence[Run]) -> Iterator[tuple[int, int]]:
    for pattern, shortest in ((_INTERNATIONAL, 7), (_NATIONAL, 8)):
        for match in within(pattern, text, found):
            if _countable(match[0], shortest) and not _named_otherwise(text, match.start()):
                yield match.span()
    for match in within(_ANY, text, found):
        number = match[0]
        if _countable(number, 7) and (
            _LABELLED.search(before(text, match.start(), 48))
            or _TRAILED.match(after(text, match.end(), 16))
            or (_WRITTEN.match(number) and _SPOKEN.search(before(text, match.start(), 48)))
        ):
            yield match.span()


def _countable(number: str, shortest: int) -> bool:
    """As many digits as E.164 allows (15, and an extension), and no date or address."""
    digits = digits_of(number)
    return shortest <= len(digits) <= 21 and len(set(digits)) > 1 and not _NEVER.match(number)


def _named_otherwise(text: str, start: int) -> bool:
    return _OTHERWISE.search(before(text, start, 32)) is not None
