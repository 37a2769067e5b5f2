"""`data.tokenizer`: a byte-level BPE vocabulary learnt from the training part of a corpus.

Byte-level (Radford et al. 2019): every text can be encoded and decoded without loss, nothing is unknown.
The result is what transformers, vLLM and llama.cpp load unchanged. Knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tenfold.core.asset import Corpus, Draft, Tokenizer
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    import tokenizers

END = "<|endoftext|>"
"""Stands between documents, and ends an answer."""
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
SPECIAL_TOKENS = (END, TURN_START, TURN_END)
"""Ids 0, 1, 2. The turn marks are reserved from the start: fine-tuning for chat needs no new rows."""

CHAT_TEMPLATES = {
    # A base model has never seen a turn mark: it continues the plain text of the conversation.
    "plain": "{% for message in messages %}{{ message['content'] }}"
    "{% if not loop.last %}{{ '\\n\\n' }}{% endif %}{% endfor %}",
    "chatml": "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
}

_ALPHABET = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """The vocabulary."""

    vocabulary: int = 2048
    """Entries, special ones included: 259 (bytes and specials) to 262,144. Few suit small models, whose
    embedding would otherwise be most of their weights."""
    min_frequency: int = 2
    """Times a pair must occur to become an entry, 1 or more."""
    chat: Literal["plain", "chatml"] = "plain"
    """How a conversation becomes text: `plain` for a base model, `chatml` once tuned on turns."""
    context: int = 0
    """Most tokens a model will take, for tools that cut; 0: not said."""

    def __post_init__(self) -> None:
        smallest = _ALPHABET + len(SPECIAL_TOKENS)
        if not smallest <= self.vocabulary <= 262_144:
            raise ConfigError(
                f"vocabulary must be between {smallest} and 262144", seen=self.vocabulary
            )
        if self.min_frequency < 1:
            raise ConfigError("min_frequency must be 1 or more", seen=self.min_frequency)
        if self.context < 0:
            raise ConfigError("context must be 0 or more tokens", seen=self.context)


@step(version="1", name="data.tokenizer", produces=Tokenizer, resources=Resources(cpu=1))
def tokenizer(corpus: Corpus, ctx: Context, *, config: TokenizerConfig) -> Draft:
    """Learn a vocabulary. Metrics: vocabulary, bytes_per_token on held-out (else training) text."""
    made = learn(_train_texts(corpus), config)
    draft = ctx.draft(Tokenizer.kind)
    # pretty, so that two vocabularies can be compared with diff
    draft.write_bytes("tokenizer.json", made.to_str(pretty=True).encode() + b"\n")
    draft.write_json("tokenizer_config.json", settings(config))
    vocabulary = made.get_vocab_size()
    draft.meta.update(vocabulary=vocabulary, end_token_id=made.token_to_id(END))

    sample = [document.text for document in corpus.documents("heldout")]
    if not sample:
        sample = list(_train_texts(corpus))[:1000]
    num_bytes = sum(len(text.encode()) for text in sample)
    num_tokens = sum(len(encoding) for encoding in made.encode_batch(sample))
    ctx.metric("vocabulary", vocabulary, unit="entries")
    ctx.metric("bytes_per_token", num_bytes / max(num_tokens, 1), unit="bytes")
    return draft


def learn(texts: Iterator[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    """Train the merges. Equal texts in equal order give equal bytes. Raises InputError without any text."""
    library: Any = need("tokenizers", extra="train", why="to learn a vocabulary")
    empty = True

    def watched() -> Iterator[str]:
        nonlocal empty
        for text in texts:
            empty = empty and not text
            yield text

    made = library.Tokenizer(library.models.BPE())
    made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        min_frequency=config.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(watched(), trainer)
    if empty:
        raise InputError(
            "no text to learn from: the corpus has no training document",
            where="data.tokenizer",
            hint="lower heldout_share in data.curate, or collect more documents",
        )
    return made


def settings(config: TokenizerConfig) -> dict[str, Any]:
    """`tokenizer_config.json` as transformers reads it."""
    plain: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "additional_special_tokens": [TURN_START, TURN_END],
        "chat_template": CHAT_TEMPLATES[config.chat],
        # Decoding gives back the very text; the clean-up would move blanks before punctuation.
        "clean_up_tokenization_spaces": False,
    }
    if config.context:
        plain["model_max_length"] = config.context
    return plain


def _train_texts(corpus: Corpus) -> Iterator[str]:
    for document in corpus.documents("train"):
        yield document.text
