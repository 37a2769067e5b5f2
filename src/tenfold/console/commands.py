"""The commands behind the pages: but for labels the console only reads, so every deed is shown as text.

One place, so that the console never teaches a command the command line does not have.
"""

from __future__ import annotations

import shlex


def command(verb: str, *arguments: str) -> str:
    """`tenfold verb arguments`, quoted so that a hostile name stays one argument when pasted."""
    return " ".join(["tenfold", verb, *(shlex.quote(argument) for argument in arguments)])
