from __future__ import annotations

import pytest

from tenfold.data.quality import QualityConfig, fault
from tenfold.errors import ConfigError

PROSE = (
    "The class statement binds a name in the local scope to a new object. When it is executed, the "
    "inheritance list is evaluated first, then the body runs in a fresh frame, and what it defined "
    "becomes the dictionary of attributes. Decorators apply afterwards, the innermost one first."
)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (PROSE, None),
        ("", "too_short"),
        ("Only four words here.", "too_short"),
        ("a b c d e f g h i j k l", "word_length"),
        ("antidisestablishmentarianism " * 9, "word_length"),
        ("# one # two # three # four # five # six", "symbols"),
        ("12 34 56 78 90 12 34 56 78 word", "not_words"),
        ("\n".join(f"- entry number {n} of many" for n in range(9)), "bullets"),
        (PROSE + "\n" + "Click here to subscribe.\n" * 20, "repeated_lines"),
        (PROSE + " buy now" * 40, "repeated_words"),
    ],
)
def test_each_rule_has_a_name(text, cause):
    assert fault(text, QualityConfig()) == cause


def test_the_rulers_of_a_table_are_not_repetition():
    rows = "\n+--------+--------+\n".join(f"| {word} | {word[::-1]} |" for word in PROSE.split())
    assert fault(rows, QualityConfig(min_alphabetic=0.2)) is None


def test_thresholds_are_checked():
    with pytest.raises(ConfigError, match="min_alphabetic is a share"):
        QualityConfig(min_alphabetic=80)
    with pytest.raises(ConfigError, match="between 0 and max_words"):
        QualityConfig(min_words=10, max_words=5)


def test_zero_words_is_allowed_when_asked_for():
    assert fault("", QualityConfig(min_words=0)) is None
