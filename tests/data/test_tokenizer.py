from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tokenizers")

from tenfold.data.tokenizer import END, SPECIAL_TOKENS, TokenizerConfig, learn, tokenizer
from tenfold.errors import ConfigError, InputError

TEXTS = [f"The {word} statement binds a name to an object in scope {n}." for n in range(40)
         for word in ("class", "import", "assignment", "global", "with")]  # fmt: skip


@pytest.fixture(scope="module")
def small():
    return learn(iter(TEXTS), TokenizerConfig(vocabulary=400))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_survives_the_round_trip(small, text):
    for special in SPECIAL_TOKENS:
        if special in text:
            return
    assert small.decode(small.encode(text).ids) == text


def test_transformers_loads_it_unchanged(run, ctx, corpus_of):
    transformers = pytest.importorskip("transformers")
    made = run(tokenizer, corpus_of(TEXTS), vocabulary=400, context=64)
    peer = transformers.AutoTokenizer.from_pretrained(made.folder())
    assert made.meta["vocabulary"] == len(peer) == ctx.metrics["vocabulary"]
    assert (peer.bos_token, peer.eos_token, peer.eos_token_id) == (END, END, 0)
    assert made.meta["end_token_id"] == 0
    assert peer.model_max_length == 64
    text = "The class statement , binds 'names' .\n\n  x = 1"
    assert peer.decode(peer.encode(text)) == text
    assert peer.encode(f"a{END}b", add_special_tokens=False).count(0) == 1


def test_chat_templates_render(run, corpus_of):
    transformers = pytest.importorskip("transformers")
    turns = [{"role": "user", "content": "What is yield?"}]
    for chat, expected in (
        ("plain", "What is yield?"),
        ("chatml", "<|im_start|>user\nWhat is yield?<|im_end|>\n<|im_start|>assistant\n"),
    ):
        made = run(tokenizer, corpus_of(TEXTS), vocabulary=300, chat=chat)
        peer = transformers.AutoTokenizer.from_pretrained(made.folder())
        shown = peer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert shown == expected


def test_the_same_text_gives_the_same_bytes_in_another_process(small):
    """The trainer is threaded and hashes: neither may show."""
    code = (
        (
            "import sys, tests_texts; from tenfold.data.tokenizer import *; "
            "sys.stdout.write(learn(iter(tests_texts.TEXTS), TokenizerConfig(vocabulary=400)).to_str())"
        )
        .replace("import sys, tests_texts; ", f"import sys; TEXTS = {TEXTS!r}; ")
        .replace("tests_texts.", "")
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout == small.to_str()


def test_held_out_text_is_not_learnt_from(run, ctx, commit):
    from tenfold.core.asset import Corpus, Document, Draft

    documents = [Document(f"{n}", text, "s", "l") for n, text in enumerate(TEXTS)]
    secret = Document("secret", "xylophone " * 500, "s", "l", split="heldout")
    made = commit(Corpus.write(Draft(Corpus.kind), [*documents, secret]))
    vocabulary = run(tokenizer, made, vocabulary=400).read_json("tokenizer.json")["model"]["vocab"]
    assert not [entry for entry in vocabulary if "xylo" in entry]
    assert ctx.metrics["bytes_per_token"] < 3


def test_no_training_text_is_an_error(run, commit):
    from tenfold.core.asset import Corpus, Document, Draft

    held = Document("a", "text", "s", "l", split="heldout")
    with pytest.raises(InputError, match="no text to learn from"):
        run(tokenizer, commit(Corpus.write(Draft(Corpus.kind), [held])))


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="between 259 and"):
        tokenizer.configure({"vocabulary": 100})
