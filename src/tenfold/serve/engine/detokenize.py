"""From token ids to text, a token at a time, without ever showing half a character.

A byte-level token may be a part of a character; decoders show that as U+FFFD at the end. Such an end waits
for the next token. Decoding needs neighbours (a decoder may drop the first space of what it is given), so
each step decodes a short window that begins in text already shown, and shows the difference. The window is
the idea of "prefix and read offsets" known from vLLM and TGI. This file knows no particular tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_BROKEN = "\ufffd"
_CONTEXT_TOKENS = 6
"""Tokens of the prompt that give the first token its neighbours."""
_LONGEST_WAIT_TOKENS = 16
"""A character has at most four bytes, so what is still broken after this many tokens is truly broken."""

Decode = Callable[[Sequence[int]], str]


class Detokenizer:
    """One answer. `decode` maps ids to text, without special tokens."""

    def __init__(self, decode: Decode, prompt: Sequence[int]) -> None:
        self._decode = decode
        self._window = list(prompt[-_CONTEXT_TOKENS:])
        self._num_shown = len(self._window)  # tokens of the window whose text is out
        self._shown = decode(self._window)

    def push(self, token: int) -> str:
        """The text that became whole with this token, perhaps none."""
        self._window.append(token)
        text = self._decode(self._window)
        waiting = len(self._window) - self._num_shown
        if text.endswith(_BROKEN) and waiting < _LONGEST_WAIT_TOKENS:
            return ""
        return self._show(text)

    def flush(self) -> str:
        """What was waiting when the answer ended: half a character stays U+FFFD."""
        if len(self._window) == self._num_shown:
            return ""
        return self._show(self._decode(self._window))

    def _show(self, text: str) -> str:
        new = text[len(self._shown) :]
        self._window = self._window[self._num_shown :]
        self._num_shown = len(self._window)
        self._shown = self._decode(self._window)
        return new
