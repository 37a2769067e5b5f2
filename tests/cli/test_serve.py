"""serve, why and replay, as a user meets them: a process, the official client, and a question afterwards."""

from __future__ import annotations

import json
import signal

import pytest

MODEL_STEPS = '''\
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import tenfold
from tenfold.models.config import LlamaConfig
from tenfold.models.folder import write_weights
from tenfold.models.llama import Llama
from tenfold.models.names import to_transformers


@tenfold.step(version="1")
def texts(ctx: tenfold.Context) -> tenfold.Corpus:
    """Two documents."""
    words = ["the quick brown fox jumps over the lazy dog", "pack my box with five dozen jugs"]
    return tenfold.Corpus.write(
        ctx.draft("corpus"),
        [tenfold.Document(str(i), text, "typing class", "CC0-1.0") for i, text in enumerate(words)],
    )


@tenfold.step(version="1")
def untrained(corpus: tenfold.Corpus, ctx: tenfold.Context) -> tenfold.Model:
    """A small Llama that has learned nothing."""
    draft = ctx.draft("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=280,
        special_tokens=["<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((document.text for document in corpus.documents()), trainer)
    draft.write_bytes("tokenizer.json", tokenizer.to_str().encode())
    draft.write_json("tokenizer_config.json", {"eos_token": "<|end|>", "bos_token": "<|end|>"})
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        eos_token_id=0,
        bos_token_id=0,
    )
    model = Llama(config)
    model.initialise(torch.Generator().manual_seed(ctx.seed % 2**31))
    write_weights(draft, to_transformers(model.state_dict(), config))
    draft.write_json("config.json", config.to_dict())
    draft.write_json("generation_config.json", {"eos_token_id": 0})
    draft.meta.update(parameters=sum(p.numel() for p in model.parameters()), dtype="float32", context=64)
    return draft
'''
FACTORY = """\
factory: parrot
assets:
  corpus: {step: "model_steps:texts"}
  small: {step: "model_steps:untrained", needs: [corpus]}
release: [{alias: model@champion, asset: small}]
serve: {model: model@champion, tiers: [exact]}
"""


def test_serve_ask_why_replay_and_leave(tenfold, folder, start, tmp_path):
    pytest.importorskip("torch")
    openai = pytest.importorskip("openai")
    (folder / "model_steps.py").write_text(MODEL_STEPS)
    (folder / "factory.yaml").write_text(FACTORY)
    ran = tenfold("run")
    assert ran.code == 0, ran.out

    server = start("serve", "--port", "0", "--json", cwd=folder, stdout=-1, stderr=-1)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, server.communicate(timeout=30)[1]
        places = json.loads(line)
        with openai.OpenAI(
            base_url=places["api"], api_key="none", timeout=60, max_retries=12
        ) as client:
            ask = {
                "model": "model@champion",
                "prompt": "the quick",
                "max_tokens": 4,
                "temperature": 0,
            }
            made = client.completions.create(**ask)
            again = client.completions.with_raw_response.create(**ask)
        assert again.parse() == made, "a hit is the stored answer, id included"

        trace = tmp_path / "trace.jsonl"
        rows = [{"id": str(i), "prompt": f"box {i % 2}", "max_tokens": 2} for i in range(6)]
        trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
        replayed = tenfold("replay --json --concurrency 1 --url", places["url"], str(trace))
        assert replayed.code == 0, replayed.out + replayed.err
        assert replayed.json["figures"]["requests"][0] == 6
    finally:
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=60)
    assert server.returncode == 0, err
    assert "Traceback" not in err

    alone = tenfold("replay --concurrency 1 --url", places["url"], str(trace))
    assert alone.code == 1
    assert "6 × " in alone.out, "what went wrong is said"

    walk = tenfold(f"why {again.headers['x-tenfold-request-id']}")
    assert walk.code == 0, walk.err
    for station in (
        "tier exact",
        f"repeats the stored answer {made.id}",
        "model small",
        "licence CC0-1.0, 2 documents",
    ):
        assert station in walk.out
    nothing = tenfold("replay --url", places["url"])
    assert nothing.code == 2
    assert "no trace" in nothing.err


def test_what_cannot_be_served_is_said(tenfold, folder):
    done = tenfold("serve")
    assert done.code == 2
    assert "what to serve" in done.err
    (folder / "model_steps.py").write_text(MODEL_STEPS)
    (folder / "factory.yaml").write_text(FACTORY)
    done = tenfold("serve --json")
    assert done.code == 2
    assert "nothing is promoted" in done.json["hint"]
