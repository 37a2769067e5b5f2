"""Rules that tell prose from noise, adapted from Gopher's to documents as short as a docstring.

Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", section
A1.1, gives the rules for web pages; where a number here differs, the comment says from what. Words are
separated by blanks, as in the paper. Each rule has a name, which is the cause a dropped document gets.
Knows one document at a time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityConfig:
    """Thresholds. The defaults keep documentation, with its tables and code, and drop what is not text."""

    min_words: int = 8
    """Fewest words, 0 or more. Gopher: 50, for web pages."""
    max_words: int = 100_000
    """Most words (Gopher)."""
    min_word_characters: float = 2.0
    """Smallest mean word length, characters. Gopher: 3; code has operators standing alone."""
    max_word_characters: float = 14.0
    """Largest mean word length, characters. Gopher: 10; signatures are long words."""
    max_symbols_per_word: float = 0.1
    """Most `#` and `...` per word, 0 and up (Gopher)."""
    min_alphabetic: float = 0.5
    """Smallest share of words with a letter, 0 to 1. Gopher: 0.8; tables and doctests hold less."""
    max_bullet_lines: float = 0.9
    """Largest share of lines that start with a bullet, 0 to 1 (Gopher)."""
    max_repeated_lines: float = 0.3
    """Largest share of lines that repeat an earlier line, 0 to 1 (Gopher, table A1)."""
    max_top_pair: float = 0.2
    """Largest share of characters in the most frequent pair of words, 0 to 1 (Gopher, table A1)."""
    repetition_from_words: int = 50
    """Repetition is judged from this many words on: below it a pair that occurs twice decides."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_words <= self.max_words:
            raise ConfigError(
                "min_words must be between 0 and max_words", seen=[self.min_words, self.max_words]
            )
        if not 0 <= self.min_word_characters <= self.max_word_characters:
            raise ConfigError(
                "min_word_characters must be between 0 and max_word_characters",
                seen=[self.min_word_characters, self.max_word_characters],
            )
        for name in ("min_alphabetic", "max_bullet_lines", "max_repeated_lines", "max_top_pair"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a share, 0 to 1", seen=getattr(self, name))
        if self.max_symbols_per_word < 0 or self.repetition_from_words < 0:
            raise ConfigError("max_symbols_per_word and repetition_from_words must be 0 or more")


def fault(text: str, config: QualityConfig) -> str | None:
    """The name of the first rule the text breaks, else None."""
    words = text.split()
    num_words = len(words)
    if num_words < config.min_words:
        return "too_short"
    if num_words > config.max_words:
        return "too_long"
    if not words:
        return None
    num_characters = sum(map(len, words))
    mean = num_characters / num_words
    if not config.min_word_characters <= mean <= config.max_word_characters:
        return "word_length"
    symbols = text.count("#") + text.count("...") + text.count("…")
    if symbols > max(2, config.max_symbols_per_word * num_words):  # two are no pattern
        return "symbols"
    alphabetic = sum(1 for word in words if word.isalpha() or any(map(str.isalpha, word)))
    if alphabetic < config.min_alphabetic * num_words:
        return "not_words"
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line]
    bullets = sum(1 for line in lines if line[0] in "•‣◦*-" and line[1:2] == " ")
    if bullets > config.max_bullet_lines * len(lines):
        return "bullets"
    if num_words >= config.repetition_from_words:
        # The rulers and bars of a table are not words that somebody repeats.
        lines = [line for line in lines if any(map(str.isalnum, line))]
        if len(lines) - len(set(lines)) > config.max_repeated_lines * len(lines):
            return "repeated_lines"
        words = [word for word in words if any(map(str.isalnum, word))]
        pair, times = Counter(pairwise(words)).most_common(1)[0]
        if (
            times > 1
            and times * (len(pair[0]) + len(pair[1])) > config.max_top_pair * num_characters
        ):
            return "repeated_words"
    return None
