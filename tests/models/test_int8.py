"""int8 against the float32 it came from, and against compressed-tensors' reading of the same folder."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tenfold.core.asset import Draft, view  # noqa: E402
from tenfold.errors import InputError  # noqa: E402
from tenfold.models import int8  # noqa: E402
from tenfold.models.cache import KVCache  # noqa: E402
from tenfold.models.folder import load_model, save_int8, save_model  # noqa: E402
from tenfold.models.int8 import Int8Linear, quantise_rows  # noqa: E402


@pytest.fixture(params=["integers", "widened"])
def small_matrices(request, monkeypatch):
    """Both ways to multiply, whatever the size of these matrices."""
    monkeypatch.setattr(int8, "SMALLEST", 0 if request.param == "integers" else 1 << 40)
    return request.param


@pytest.fixture
def base(draft, llama, config, tokenizer, blobs):
    made = save_model(draft, llama, config, tokenizer, recipe="test")
    return view("base", made.commit(blobs), blobs)


@pytest.fixture
def small(base, blobs):
    made = save_int8(Draft("model", blobs.staging()), base, made_from=base.digest)
    return view("small", made.commit(blobs), blobs)


@given(rows=st.integers(1, 9), columns=st.integers(1, 40), seed=st.integers(0, 999))
def test_rounding_is_never_further_than_half_a_step(rows, columns, seed):
    chance = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=chance) * 10 ** (seed % 7 - 3)
    weight[0] = 0
    whole, scale = quantise_rows(weight)
    assert whole.dtype == torch.int8
    assert ((whole * scale - weight).abs() <= 0.5001 * scale).all()
    assert (whole[0] == 0).all()


def test_a_row_does_not_depend_on_its_neighbours():
    """Whole numbers add up the same in any order and any company: equal to the last bit."""
    chance = torch.Generator().manual_seed(0)
    layer = Int8Linear(*quantise_rows(torch.randn(256, 128, generator=chance)))
    x = torch.randn(33, 128, generator=chance) * torch.logspace(-3, 3, 33).unsqueeze(1)
    together = layer(x)
    for index, row in enumerate(x):
        assert torch.equal(layer(row.unsqueeze(0))[0], together[index])
        assert torch.equal(layer(x[index:])[0], together[index])


def test_logits_stay_close_and_generating_agrees_with_scoring(small_matrices, small, llama, config):
    model = load_model(small.folder()).model
    ids = torch.randint(config.vocab_size, (4, 40), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        exact, ours = llama(ids), model(ids)
    assert (ours - exact).norm() / exact.norm() < 0.1  # random weights amplify every rounding
    assert (ours - exact).abs().max() > 0
    cache = KVCache(config, slots=4)
    model.prefill(cache, [0, 1], [ids[0, :39].tolist(), ids[1, :20].tolist()])
    logits = model.decode(cache, [0, 1], [int(ids[0, 39]), int(ids[1, 20])])
    assert (logits[0] - ours[0, 39]).abs().max() < 1e-2 * exact.abs().max()
    assert (logits[1] - ours[1, 20]).abs().max() < 1e-2 * exact.abs().max()


def test_compressed_tensors_reads_the_folder_and_finds_the_same_weights(
    small_matrices, small, llama, config
):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("compressed_tensors")
    peer = transformers.AutoModelForCausalLM.from_pretrained(small.folder(), dtype=torch.float32)
    model = load_model(small.folder()).model
    ids = torch.randint(config.vocab_size, (2, 30), generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        exact = llama(ids)
        their_error, our_error = peer(ids).logits - exact, model(ids) - exact
    assert 0 < our_error.norm() < 1.5 * their_error.norm()
    theirs = dict(peer.model.layers[1].named_modules())  # they unpack on the first call
    pairs = [
        (
            ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            model.layers[1].attention.qkv,
        ),
        (("self_attn.o_proj",), model.layers[1].attention.out),
        (("mlp.gate_proj", "mlp.up_proj"), model.layers[1].mlp.gate_up),
        (("mlp.down_proj",), model.layers[1].mlp.down),
    ]
    for names, ours in pairs:
        weight = torch.cat([theirs[name].weight for name in names])
        whole = (
            ours.weight * ours.scale.unsqueeze(1) if isinstance(ours, Int8Linear) else ours.weight
        )
        assert torch.equal(weight, whole)
    assert isinstance(model.layers[0].mlp.down, Int8Linear) == (small_matrices == "integers")


def test_weights_take_a_quarter_of_the_bytes(base, small, config):
    def num_bytes(asset):
        return asset.files["model.safetensors"].num_bytes

    embedding = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    projections = config.num_parameters - embedding
    assert num_bytes(small) < num_bytes(base) * 0.5
    header = 16 * 1024
    assert num_bytes(small) - 2 * embedding < projections * 1.1 + header
    assert small.meta["dtype"] == "int8"
    assert small.meta["recipe"] == "test"
    assert small.meta["made_from"] == base.digest
    assert small.read_bytes("tokenizer.json") == base.read_bytes("tokenizer.json")


def test_quantising_twice_is_refused(small, blobs):
    with pytest.raises(InputError, match="quantised already"):
        save_int8(Draft("model", blobs.staging()), small)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["quant_method"], "gptq"),
        (["format"], "pack-quantized"),
        (["config_groups", "group_0", "weights", "num_bits"], 4),
        (["config_groups", "group_0", "weights", "strategy"], "group"),
    ],
)
def test_another_quantisation_is_refused(small, tmp_path, path, value):
    for file in small.files:
        (tmp_path / file).write_bytes(small.read_bytes(file))
    plain = json.loads((tmp_path / "config.json").read_text())
    place = plain["quantization_config"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "config.json").write_text(json.dumps(plain))
    with pytest.raises(InputError, match="quantised in a way") as raised:
        load_model(tmp_path)
    assert "config.json" in str(raised.value)


def test_a_quantised_embedding_is_refused(small, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in small.files:
        (tmp_path / file).write_bytes(small.read_bytes(file))
    tensors = load_file(tmp_path / "model.safetensors")
    name = "model.embed_tokens.weight"
    tensors[name], tensors[f"{name}_scale"] = quantise_rows(tensors[name])
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"embedding\.weight holds whole numbers"):
        load_model(tmp_path)


def test_integer_weights_without_their_scales_are_refused(small, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in small.files:
        (tmp_path / file).write_bytes(small.read_bytes(file))
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight_scale"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="holds whole numbers"):
        load_model(tmp_path)
