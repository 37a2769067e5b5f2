"""Model folders: the same bytes for the same weights, and a clear word for every broken one."""

from __future__ import annotations

import json
import shutil

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Draft  # noqa: E402
from tenfold.errors import InputError  # noqa: E402
from tenfold.models.folder import load_model, save_model  # noqa: E402


@pytest.fixture
def folder(draft, llama, config, tokenizer):
    save_model(draft, llama, config, tokenizer, recipe="test")
    return draft.path("config.json").parent


def test_a_saved_model_comes_back_bit_for_bit(draft, folder, llama, config):
    loaded, shape, tokenizer = load_model(folder)
    assert shape == config
    state = loaded.state_dict()
    assert state.keys() == llama.state_dict().keys()
    for name, tensor in llama.state_dict().items():
        assert torch.equal(state[name], tensor), name
    assert tokenizer.get_vocab_size() == config.vocab_size
    assert not loaded.training
    assert draft.meta["parameters"] == config.num_parameters
    assert draft.meta["recipe"] == "test"


def test_saving_twice_gives_the_same_bytes(folder, llama, config, tokenizer, tmp_path):
    again = Draft("model", tmp_path / "again")
    save_model(again, llama, config, tokenizer)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_transformers_saves_a_folder_that_we_read(folder, config, tmp_path):
    transformers = pytest.importorskip("transformers")
    peer = transformers.AutoModelForCausalLM.from_pretrained(folder)
    peer.save_pretrained(tmp_path / "theirs")
    shutil.copy(folder / "tokenizer.json", tmp_path / "theirs")
    loaded, shape, _ = load_model(tmp_path / "theirs")
    assert shape == config
    ids = torch.arange(20).unsqueeze(0)
    with torch.inference_mode():
        assert (loaded(ids) - peer(ids).logits).abs().max() < 1e-4


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut short", "garbage"])
def test_a_broken_file_is_named(folder, file, damage):
    path = folder / file
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        broken = {"empty": b"", "cut short": whole[: len(whole) // 2], "garbage": b"\xff" * 100}
        path.write_bytes(broken[damage])
    with pytest.raises(InputError) as raised:
        load_model(folder)
    assert file in str(raised.value)
    assert raised.value.hint


def _changed(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model_type": "gpt2"}, "only Llama"),
        ({"model_type": None}, "only Llama"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rotary scaling"),
        ({"attention_bias": True}, "attention biases"),
        ({"hidden_act": "gelu"}, "SiLU"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7, "head_dim": 0}, "configuration"),
        ({"hidden_size": "wide"}, "configuration"),
        ({"intermediate_size": 96}, "shapes"),
        ({"num_hidden_layers": 4}, "'model.layers.3"),
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            "quantised",
        ),
    ],
)
def test_a_foreign_configuration_is_refused_with_a_reason(folder, changes, word):
    _changed(folder, **changes)
    with pytest.raises(InputError, match=word):
        load_model(folder)
