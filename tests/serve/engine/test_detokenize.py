"""Text arrives whole: never half a character, and never other text than decoding all at once gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers")

from tokenizers import Tokenizer, decoders, models

from tenfold.serve.engine.detokenize import Detokenizer


@pytest.fixture(scope="module")
def byte_level(model_folder) -> Tokenizer:
    return Tokenizer.from_file(str(model_folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def byte_fallback() -> Tokenizer:
    """The SentencePiece kind: words with a mark for the space, and bytes for what no word covers."""
    words = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "▁the",
        "▁cat",
        "s",
        "é",
        ".",
    ]
    made = Tokenizer(
        models.BPE({w: i for i, w in enumerate(words)}, [], unk_token="<unk>", byte_fallback=True)
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return made


def stream(decode, prompt, ids) -> list[str]:
    detokenizer = Detokenizer(decode, prompt)
    return [*(detokenizer.push(token) for token in ids), detokenizer.flush()]


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")))
def test_any_text_comes_out_as_it_went_in_without_broken_characters(byte_level, text):
    pieces = stream(byte_level.decode, byte_level.encode("Hello").ids, byte_level.encode(text).ids)
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces)


@settings(max_examples=150, deadline=None)
@given(text=st.text("é你🙂 🇩ab", min_size=1, max_size=20))
def test_bytes_of_sentencepiece_come_out_whole(byte_fallback, text):
    ids = [1 + byte for byte in text.encode()]
    pieces = stream(byte_fallback.decode, [byte_fallback.token_to_id("▁cat")], ids)
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces)


@settings(max_examples=150, deadline=None)
@given(ids=st.lists(st.integers(1, 319), max_size=40))
def test_any_ids_give_what_decoding_all_at_once_gives(byte_level, ids):
    prompt = byte_level.encode("The class").ids
    assert "".join(stream(byte_level.decode, prompt, ids)) == byte_level.decode(prompt + ids)[9:]


def test_the_space_between_prompt_and_answer_stays(byte_fallback):
    the, cat, s = (byte_fallback.token_to_id(word) for word in ("▁the", "▁cat", "s"))
    assert byte_fallback.decode([cat]) == "cat"  # alone, the decoder drops it
    assert stream(byte_fallback.decode, [the], [cat, s]) == [" cat", "s", ""]


def test_bytes_that_never_become_a_character_are_not_held_for_ever(byte_level):
    stray = byte_level.token_to_id("Ģ")  # byte 0x80, which begins nothing
    assert byte_level.decode([stray]) == "\ufffd"
    pieces = stream(byte_level.decode, [], [stray] * 40)
    assert any(pieces[:17])
    assert "".join(pieces) == "\ufffd" * 40
