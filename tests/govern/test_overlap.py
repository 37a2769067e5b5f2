import random

from hypothesis import given
from hypothesis import strategies as st

from tenfold.govern.overlap import SHORTEST, Overlap, longest_overlaps

pieces = st.lists(st.sampled_from(["ab", "ba", "aab", "ø", "🙂", "\n", "xyz " * 8]), max_size=14)
texts = st.lists(pieces.map("".join), max_size=5)


def naive(text, body):
    """Every stretch, longest first, with the interpreter's own search."""
    for length in range(len(text), SHORTEST - 1, -1):
        for start in range(len(text) - length + 1):
            if any(text[start : start + length] in known for known in body):
                return Overlap(start, length)
    return Overlap()


@given(texts, texts)
def test_it_finds_what_plain_search_finds(asked, body):
    assert longest_overlaps(asked, body) == [naive(text, body) for text in asked]


def test_a_stretch_may_not_reach_over_two_texts():
    whole = "the quick brown fox jumps over the lazy dog"
    [found] = longest_overlaps([whole], [whole[:20], whole[20:]])
    assert found == Overlap()


def test_a_planted_stretch_is_found_in_a_megabyte():
    draws = random.Random(4)
    body = ["".join(draws.choices("abcdefgh \n", k=2000)) for _ in range(500)]
    planted = body[321][700:790]
    text = "Z" * 10 + planted + "Z" * 10
    assert longest_overlaps([text, "nothing of it"], body) == [Overlap(10, 90), Overlap()]
