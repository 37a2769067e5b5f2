"""Words that English tokenisers keep whole or cut by heart: contractions, abbreviations, emoticons.

The list is the behaviour of spaCy's English (spacy.lang.en.tokenizer_exceptions and the emoticons of
spacy.lang.tokenizer_exceptions), made again from its few patterns. A bar marks a cut: `ca|n't`. It knows words;
how they are found in a text is the tokeniser's (`words`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PLACES = 8192
"""Of the table; five times as many as there are entries."""
MAX_BYTES = 32
"""No exception is longer."""

_EMOTICONS = r"""
:) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-; :( :-(
:(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P :p :-p :O :-O :o :-o
:0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D xD XD xDD XDD 8D 8-D ^_^ ^__^ ^___^ >.<
>.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33
<333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>
"""
_WHOLE = """
\\t \\n — ' \\") <space> '' C++ ä. ö. ü. 'S 's ‘S ‘s and/or w/o 're 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz
'bout ma'am Ma'am o'clock O'clock lovin' Lovin' lovin Lovin havin' Havin' havin Havin em 'em ll 'll nuff 'nuff
Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun.
Kan. Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct.
Okla. Ore. Pa. S.C. Sep. Sept. Tenn. Va. Wash. Wis. 'd a.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G.
Gen. Gov. i.e. I.e. I.E. Inc. Jr. Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St.
vs. v.s.
"""
_CUT = """
y'|all y|all how|'d|'y How|'d|'y not|'ve not|ve Not|'ve Not|ve can|not Can|not gon|na Gon|na got|ta Got|ta
let|'s Let|'s c'm|on C'm|on °|c|. °|f|. °|k|. °|C|. °|F|. °|K|.
"""
_UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh "
    "mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм кг г "
    "мг м/с км/ч кПа Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ US$ C$ A$"
)
"""Cut off behind a digit, with the currencies of more than one character."""
_NOT = "ill Ill its Its hell Hell shell Shell shed Shed were Were well Well whore Whore"
"""What the patterns would make of these is another word."""
_MODAL = "ca could do does did had may might must need ought sha should wo would"


def _patterns() -> Iterator[str]:
    """Contractions by their patterns, cuts marked."""
    for stem in ("i",):
        yield from (f"{stem}|'m", f"{stem}|m", f"{stem}|'m|a", f"{stem}|m|a")
    people = ("i", "you", "he", "she", "it", "we", "they")
    asking = ("who", "what", "when", "where", "why", "how", "there", "that", "this")
    several = ("these", "those")
    for stem in (*people, *asking, *several):
        yield from (f"{stem}|'ll", f"{stem}|ll", f"{stem}|'ll|'ve", f"{stem}|ll|ve")
        yield from (f"{stem}|'d", f"{stem}|d", f"{stem}|'d|'ve", f"{stem}|d|ve")
    for stem in ("i", "you", "we", "they", *asking, *several):
        if stem not in ("that", "this"):
            yield from (f"{stem}|'ve", f"{stem}|ve")
    for stem in ("you", "we", "they", *asking, *several):
        if stem not in ("that", "this"):
            yield from (f"{stem}|'re", f"{stem}|re")
    for stem in ("he", "she", "it", *asking):
        yield from (f"{stem}|'s", f"{stem}|s")
    modal = _MODAL.split()
    for stem in (*modal, "ai", "are", "is", "was", "were", "have", "has", "dare"):
        yield from (f"{stem}|n't", f"{stem}|nt")
    for stem in modal:
        yield from (f"{stem}|n't|'ve", f"{stem}|nt|ve")
    for stem in ("could", "might", "must", "should", "would"):
        yield from (f"{stem}|'ve", f"{stem}|ve")
    for stem in ("doin", "goin", "nothin", "nuthin", "ol", "somethin"):
        yield from (stem, f"{stem}'")


def exceptions() -> dict[str, tuple[int, ...]]:
    """Word -> the bytes after which it is cut; empty: it stays whole."""
    marked = [*_EMOTICONS.split(), *_WHOLE.split(), *_CUT.split()]
    marked += [f"{letter}." for letter in "abcdefghijklmnopqrstuvwxyz"]
    marked += [f"{hour}|{half}" for hour in range(1, 13) for half in ("a.m.", "am", "p.m.", "pm")]
    for pattern in _patterns():
        marked += [pattern, pattern[0].upper() + pattern[1:]]
    unlike = set(_NOT.split())
    found: dict[str, tuple[int, ...]] = {}
    for word in marked:
        whole = word.replace("|", "") if len(word) > 2 and word not in ("=|", ":-|") else word
        if whole in unlike:
            continue
        cuts, place = [], 0
        for part in word.split("|")[:-1] if whole != word else []:
            place += len(part.encode())
            cuts.append(place)
        found[whole] = tuple(cuts)
    return {**found, **{_curled(word): _shifted(word, at) for word, at in found.items()}}


def _curled(word: str) -> str:
    """With typographic apostrophes."""
    return word.replace("'", "’")


def _shifted(word: str, cuts: tuple[int, ...]) -> tuple[int, ...]:
    """Where the cuts are once each apostrophe takes three bytes."""
    return tuple(cut + 2 * word.encode()[:cut].count(b"'") for cut in cuts)


def units() -> list[str]:
    """What is cut off behind a digit."""
    return _UNITS.split()


class Known(NamedTuple):
    """The exceptions and units as kernels ask for them, by FNV-1a hash."""

    keys: npt.NDArray[np.uint64]
    """Open addressing, PLACES long; 0: free."""
    cuts: npt.NDArray[np.int64]
    """cut1 + 256 cut2 in bytes, 0: whole; -1: a unit, whose hash begins with a zero byte."""
    bits: npt.NDArray[np.uint8]
    """One bit per value of a hash's upper 15 bits: nearly all words are turned away here."""


@cache
def table() -> Known:
    """All of them, made once in a process."""
    keys = np.zeros(PLACES, dtype=np.uint64)
    cuts = np.zeros(PLACES, dtype=np.int64)
    bits = np.zeros(1 << 15, dtype=bool)
    entries = [(word.encode(), at) for word, at in exceptions().items()]
    for word, at in [*entries, *((b"\0" + unit.encode(), None) for unit in units())]:
        key = fnv(word)
        place = key & (PLACES - 1)
        while keys[place]:
            place = (place + 1) & (PLACES - 1)
        first, second = (*at, 0, 0)[:2] if at is not None else (-1, 0)
        keys[place], cuts[place] = key, first + 256 * second
        bits[key >> 49] = True
    return Known(keys, cuts, np.packbits(bits, bitorder="little"))


def fnv(word: bytes) -> int:
    """FNV-1a of 64 bits, as the kernel computes it."""
    value = 0xCBF29CE484222325
    for byte in word:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value
