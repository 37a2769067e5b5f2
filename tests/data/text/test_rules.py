"""Each rule on both sides of its threshold, by the counting that datatrove publishes (0.10.1, its filters' sources)."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.operator import identity
from tenfold.data.text.figures import FIGURES
from tenfold.data.text.rules import C4, FineWeb, Quality, Repetition, Rules
from tenfold.errors import ConfigError

WORDS = [f"{a}{b}e{c}" for a in "bcdfghjkl" for b in "aiou" for c in "mnprst"]
"""216 different words of four letters."""


def judged(
    texts: list[str | None], rules: Rules, drop: list[str | None] | None = None
) -> pa.RecordBatch:
    drops = pa.array(drop or [None] * len(texts), type=pa.string())
    return rules(pa.record_batch({"text": pa.array(texts, type=pa.string()), "drop": drops}))


def causes(texts: list[str | None], rules: Rules) -> list[str | None]:
    return judged(texts, rules)["drop"].to_pylist()


def only(**groups: object) -> Rules:
    off: dict[str, object] = {"repetition": None, "quality": None}
    return Rules(**{**off, **groups})  # type: ignore[arg-type]


def lines(total: int, same: int) -> str:
    """`total` lines of four characters, of which `same` repeat the first."""
    return "\n".join([*WORDS[: total - same], *[WORDS[0]] * same])


FAR = dict.fromkeys(
    (name for name in Repetition.__dataclass_fields__), 1e9
)  # no limit but the one that is asked


@pytest.mark.parametrize(
    ("limit", "passes", "falls"),
    [
        # 30 % of ten lines seen before may stay; four may not. The same for paragraphs.
        ("dup_lines", lines(10, 3), lines(10, 4)),
        ("dup_paragraphs", lines(10, 3).replace("\n", "\n\n"), lines(10, 4).replace("\n", "\n\n")),
        # 20 lines of 4 characters and 19 line feeds are 99: 4 copies are 16.2 %, 5 are 20.2 %.
        ("dup_line_chars", lines(20, 4), lines(20, 5)),
        (
            "dup_paragraph_chars",
            lines(20, 5).replace("\n", "\n\n"),
            lines(20, 6).replace("\n", "\n\n"),
        ),
    ],
)
def test_repeated_lines_at_their_thresholds(limit, passes, falls):
    rules = only(repetition=Repetition(**{**FAR, limit: getattr(Repetition(), limit)}))
    assert causes([passes, falls], rules) == [None, f"rules.{limit}"]


@pytest.mark.parametrize(("n", "limit"), [(2, 0.20), (3, 0.18), (4, 0.16)])
def test_the_most_frequent_n_gram_at_its_threshold(n, limit):
    phrase = WORDS[:n]
    rules = only(repetition=Repetition(**{**FAR, f"top_{n}_gram": limit}))
    for times in range(2, 12):
        rest = WORDS[20:100]
        words = [word for gap in range(times) for word in (*phrase, rest[gap])] + rest[times:]
        text = " ".join(words)
        share = len(" ".join(phrase)) * times / len(text)
        assert (causes([text], rules)[0] is not None) == (share > limit)
        figure = judged([text], rules)[f"rules.top_{n}_gram"][0].as_py()
        assert figure == pytest.approx(share, rel=1e-6)


@pytest.mark.parametrize("n", range(5, 11))
def test_repeated_n_grams_at_their_threshold(n):
    limit = getattr(Repetition(), f"dup_{n}_gram")
    rules = only(repetition=Repetition(**{**FAR, f"dup_{n}_gram": limit}))
    seen = set()
    for size in range(15, 200, 5):
        words = WORDS[:size] + WORDS[:n]  # one n-gram stands twice
        text = " ".join(words)
        fires = 4 * n / len(text) > limit
        seen.add(fires)
        assert (causes([text], rules)[0] is not None) == fires
    assert seen == {True, False}


PROSE = " ".join(WORDS[:60]) + " the and"
QUALITY_EDGES = [
    ("min_words", " ".join(["the", "and", *WORDS[:48]]), " ".join(["the", "and", *WORDS[:47]])),
    ("min_mean_word", "the and " + "abc " * 60, "the and " + "abc " * 60 + "a"),
    ("max_mean_word", "the and " * 25 + "abcdefghijklmnopq " * 50, "the and " * 25 + "abcdefghijklmnopqr " * 50),
    # 62 words and a mark each: `#` is a word of its own.
    ("max_hashes", PROSE + " #" * 6, PROSE + " #" * 7),
    ("max_ellipses", "... " * 6 + PROSE, "... " * 7 + PROSE),
    ("max_bullet_lines", "\n".join(["- " + PROSE] * 9 + [PROSE]), "\n".join(["- " + PROSE] * 10 + [PROSE])),
    ("max_ellipsis_lines", "\n".join([PROSE + "…"] * 3 + [PROSE] * 7), "\n".join([PROSE + "…"] * 4 + [PROSE] * 6)),
    ("min_alpha_words", "the and " * 40 + "1234 " * 20, "the and " * 40 + "1234 " * 21),
    ("min_stop_words", PROSE, " ".join(WORDS[:60]) + " the the"),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "passes", "falls"), QUALITY_EDGES)
def test_gophers_quality_at_its_thresholds(limit, passes, falls):
    assert causes([passes, falls], only(quality=Quality())) == [None, f"rules.{limit}"]


def test_too_many_words_fall():
    limits = Quality(max_words=60)
    passes, falls = " ".join([*WORDS[:58], "the", "and"]), " ".join([*WORDS[:59], "the", "and"])
    assert causes([passes, falls], only(quality=limits)) == [None, "rules.max_words"]


def test_punctuation_is_words_in_compat_and_not_on_paper():
    text = "the and dog. " * 40  # 120 words and 40 full stops: three quarters have a letter
    assert causes([text], only(quality=Quality())) == ["rules.min_alpha_words"]
    assert causes([text], only(quality=Quality(), counting="paper")) == [None]


SENTENCE = "This is a good sentence."


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("\n".join([SENTENCE] * 5), None),
        (" ".join([SENTENCE] * 5), None),
        ("\n".join([SENTENCE] * 4), "min_sentences"),
        ("\n".join([SENTENCE] * 4 + [SENTENCE[:-1]]), "min_sentences"),
        ("\n".join([SENTENCE] * 4 + ["This one trails off..."]), "min_sentences"),
        ("\n".join([SENTENCE] * 4 + ["Two words."]), "min_sentences"),
        ("\n".join([SENTENCE] * 4 + ["It has three words.[12]"]), None),
        ("\n".join([SENTENCE] * 4 + ["Please enable JavaScript to go on."]), "min_sentences"),
        ("\n".join([SENTENCE] * 4 + ["Read our Cookie Policy at once."]), "min_sentences"),
        ("\n".join([SENTENCE] * 4 + ["A word " + "x" * 1000 + " is long."]), None),
        ("\n".join([SENTENCE] * 4 + ["A word " + "x" * 1001 + " is long."]), "min_sentences"),
        ("\n".join([SENTENCE] * 5 + ["Here is a { curly bracket."]), "curly"),
        ("\n".join([SENTENCE] * 5 + ["a { without an end"]), None),
        ("\n".join([SENTENCE] * 5 + ["Here is Lorem Ipsum, you see."]), "lorem"),
    ],
)
def test_c4_at_its_thresholds(text, cause):
    assert causes([text], only(c4=C4())) == [cause and f"rules.{cause}"]


LONG = "this line is longer than the thirty characters {}"


@pytest.mark.parametrize(
    ("limit", "passes", "falls"),
    [
        ("min_line_ends", [LONG.format(n) + "." * (n < 12) for n in range(100)],
         [LONG.format(n) + "." * (n < 11) for n in range(100)]),
        ("max_short_lines", [f"word and more {n}." for n in range(67)] + [LONG.format(n) + "." for n in range(33)],
         [f"word and more {n}." for n in range(68)] + [LONG.format(n) + "." for n in range(32)]),
        ("max_dup_chars", [f"{n:030}." for n in range(10)] + ["abc."] + ["abc."] * 0,
         [f"{n:030}." for n in range(10)] + ["abc."] * 2),
    ],
)  # fmt: skip
def test_fineweb_at_its_thresholds(limit, passes, falls):
    loose = {
        "min_line_ends": 0.0,
        "max_short_lines": 1.0,
        "max_dup_chars": 1.0,
        "max_newlines": 99.0,
    }
    rules = only(fineweb=FineWeb(**{**loose, limit: getattr(FineWeb(), limit)}))
    assert causes(["\n".join(passes), "\n".join(falls)], rules) == [None, f"rules.{limit}"]


def test_newlines_per_word_at_their_threshold():
    rules = only(fineweb=FineWeb(min_line_ends=0, max_short_lines=1, max_dup_chars=1))
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    assert causes([" ".join(words) + "\n" * 3, " ".join(words) + "\n" * 4], rules) == [
        None, "rules.max_newlines",
    ]  # fmt: skip


def test_rows_with_a_cause_are_neither_judged_nor_overwritten():
    out = judged(["", None, PROSE], Rules(), ["language.other", None, None])
    assert out["drop"].to_pylist() == ["language.other", "rules.empty", None]
    assert out["rules.words"].to_pylist()[0] is None
    assert out.num_rows == 3


ALL = Rules(c4=C4(), fineweb=FineWeb())


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80),
        min_size=1,
        max_size=4,
    )
)
def test_any_text_has_figures_and_neighbours_do_not_matter(texts):
    together = judged(texts, ALL)
    for row, text in enumerate(texts):
        alone = judged([text], ALL)
        for name in (*(f"rules.{figure}" for figure in FIGURES), "drop"):
            assert alone[name].to_pylist() == together[name].slice(row, 1).to_pylist()
    for name in FIGURES[:4]:  # n-grams are joined by blanks that the text may not have
        assert all(0 <= value <= 1 for value in together[f"rules.{name}"].to_pylist())


@pytest.mark.parametrize(
    "text", ["x" * 200_000, "?!" * 50_000, "\n" * 1000, "\u2028\u0085 \t", "😀" * 5000]
)
def test_strange_texts_fall_by_a_named_cause(text):
    assert causes([text], Rules())[0] is not None


def test_the_operator_travels_and_names_itself():
    rules = Rules(counting="paper")
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert identity(rules)["parameters"]["counting"] == "paper"
    with pytest.raises(ConfigError, match="compat or paper"):
        Rules(counting="roughly")  # type: ignore[arg-type]
