"""Whether a secret that an operator made up is strong enough to open the gateway's administration.

Secrets that tenfold makes have 256 random bits. One from the environment may be anything, and whoever
guesses it owns every provider key behind the gateway. Knows no environment: whoever reads it asks here.
"""

from __future__ import annotations

import re

from tenfold.errors import ConfigError

_SHORTEST = 24
_FEWEST_DISTINCT = 10
_WORDS = re.compile(
    r"pass(word|wort|phrase)?|secret|admin|master|changeme|change-me|default|example|letmein|welcome"
    r"|qwert[yz]u?|asdf(gh)?|tenfold|litellm|gateway|token|apikey|api-key|test|demo|root|hunter2",
    re.IGNORECASE,
)
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "01234567890")
_RUN = 4
_RUNS = frozenset(
    row[start : start + _RUN]
    for line in _ROWS
    for row in (line, line[::-1])
    for start in range(len(row) - _RUN + 1)
)


def check_admin_secret(secret: str, *, where: str) -> None:
    """Raises ConfigError for one that is short or can be guessed. `where`: the variable it came from; the
    secret itself is in no message.

    What words, repetitions and runs (`abcdef`, `123456`, `qwerty`) hold counts for nothing; what is left
    must be 24 characters with 10 different ones among them. A random secret loses next to nothing so.
    """
    why = None
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        why = "has characters that do not fit into a header"
    elif len(secret) < _SHORTEST:
        why = f"is shorter than {_SHORTEST} characters"
    else:
        rest = _unguessable(secret.removeprefix("sk-tf-").removeprefix("sk-"))
        if len(rest) < _SHORTEST or len(set(rest)) < _FEWEST_DISTINCT:
            why = "can be guessed: words, repetitions and runs do not count"
    if why is not None:
        raise ConfigError(
            f"the admin key {why}", where=where, hint="make one with: openssl rand -base64 32"
        )


def _unguessable(secret: str) -> str:
    """Without words, runs and repetitions."""
    rest = _WORDS.sub("", secret)
    lower = rest.lower()
    runs = {
        start + step
        for start in range(len(rest))
        if lower[start : start + _RUN] in _RUNS
        for step in range(_RUN)
    }
    rest = "".join(character for at, character in enumerate(rest) if at not in runs)
    # A part of three or more that stands there twice counts once.
    kept = ""
    for at, character in enumerate(rest):
        if at >= 2 and rest.find(rest[at - 2 : at + 1]) < at - 2:
            continue
        kept += character
    return kept
