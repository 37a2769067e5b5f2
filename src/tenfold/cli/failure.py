"""How an error reaches whoever typed the command: words on stderr, or one JSON document on stdout."""

from __future__ import annotations

import json
import sys

from tenfold.errors import SpecError, TenfoldError


def report(error: TenfoldError, as_json: bool) -> None:
    """Say what went wrong. The exit code goes with it in JSON, so that a log line alone is enough."""
    if as_json:
        print(json.dumps({**error.describe(), "exit_code": error.exit_code}, ensure_ascii=False))
        return
    text = str(error)
    if isinstance(error, SpecError):
        count = len(error.faults)
        text = f"{count} fault{'s' if count != 1 else ''} in the factory file\n{text}"
    print(f"tenfold: {text}", file=sys.stderr)
