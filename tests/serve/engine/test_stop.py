"""Stop strings end an answer in the same place wherever the pieces are cut."""

from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.engine.stop import StopStrings

letters = st.text("ab\n", max_size=30)


def expected(text: str, stop: list[str]) -> tuple[str, bool]:
    """Letter by letter: the first moment at which the text ends in a stop string; the longest one counts."""
    for end in range(1, len(text) + 1):
        matches = [mark for mark in stop if mark and text[:end].endswith(mark)]
        if matches:
            return text[: end - max(map(len, matches))], True
    return text, False


@given(letters, st.lists(st.text("ab\n", max_size=5), max_size=3), st.data())
def test_any_cut_gives_the_text_before_the_first_stop_string(text, stop, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stopper = StopStrings(stop)
    shown = ""
    wanted, found = expected(text, stop)
    for piece in pieces:
        shown += stopper.push(piece)
        assert wanted.startswith(shown), "something of a stop string leaked"
    shown += stopper.flush()
    assert (shown, stopper.found) == (wanted, found)


def test_only_what_may_begin_a_stop_string_is_held_back():
    stopper = StopStrings(["<end>"])
    assert stopper.push("hello <") == "hello "
    assert stopper.push("e") == ""
    assert stopper.push("mpty>") == "<empty>"
