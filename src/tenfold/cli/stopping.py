"""Ctrl-C in a run: say at once what happens, since the step under way may take a moment to notice."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MESSAGE = "\nstopping: finished steps are kept. Ctrl-C again leaves at once."


@contextmanager
def stopping() -> Iterator[None]:
    """The first Ctrl-C is answered and raised; the second one finds Python's own handler."""

    def answer(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print(MESSAGE, file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else's handler, or none is wanted: a background job
        return
    signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
