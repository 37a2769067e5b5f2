"""A model as a folder that transformers, vLLM and we read: config, weights, tokenizer.

Equal weights give equal bytes. Reading refuses what it does not understand and says which file and what
to do. Knows nothing about training or serving.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tenfold.core.asset import Asset, Draft
from tenfold.errors import InputError
from tenfold.models.config import LlamaConfig
from tenfold.need import need

if TYPE_CHECKING:
    import tokenizers

    from tenfold.models.llama import Llama

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"


class LoadedModel(NamedTuple):
    """What a model folder holds, ready to use: the network in evaluation mode, on the CPU."""

    model: Llama
    config: LlamaConfig
    tokenizer: tokenizers.Tokenizer


def save_model(
    draft: Draft, model: Llama, config: LlamaConfig, tokenizer: Asset, **meta: Any
) -> Draft:
    """Write `model` in float32 into a draft of kind `model`, with the tokenizer's files beside it."""
    need("safetensors", extra="train", why="to write model weights")
    from tenfold.models.names import to_transformers

    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    write_weights(draft, to_transformers(state, config))
    draft.write_json("config.json", config.to_dict())
    return _complete(draft, config, tokenizer, {**meta, "dtype": "float32"})


def save_int8(draft: Draft, model: Asset, **meta: Any) -> Draft:
    """Write the model asset's weights in int8 into a draft, everything else as it was.

    Meta: that of the original, then `meta`. Raises InputError for what is not a Llama in floating point.
    """
    need("torch", extra="train", why="to quantise a model")
    from tenfold.models import int8
    from tenfold.models.names import from_transformers

    folder = model.folder()
    config, plain = read_config(folder)
    if plain.get("quantization_config") is not None:
        raise InputError(
            "the model is quantised already",
            where=model.name,
            hint="quantise the model it was made from: every further rounding costs quality",
        )
    tensors = read_weights(folder)
    from_transformers(tensors, config, str(folder / WEIGHTS))  # refuses what is not all there
    write_weights(draft, int8.quantise(tensors))
    settings = {**config.to_dict(), "quantization_config": dict(int8.QUANTIZATION)}
    draft.write_json("config.json", settings)
    return _complete(draft, config, model, {**model.meta, **meta, "dtype": "int8"})


def write_weights(draft: Draft, tensors: dict[str, Any]) -> None:
    """One safetensors file, tensors in the library's own order; `format` is what transformers asks for."""
    from safetensors.torch import save

    draft.write_bytes(WEIGHTS, save(tensors, metadata={"format": "pt"}))


def _complete(draft: Draft, config: LlamaConfig, tokenizer: Asset, meta: dict[str, Any]) -> Draft:
    """What is the same whatever the precision: generation settings, the tokenizer, and sizes."""
    draft.meta.update(
        {
            **meta,
            "architecture": "llama",
            "parameters": config.num_parameters,
            "context": config.max_position_embeddings,
            "vocabulary": config.vocab_size,
        }
    )
    generation = {"bos_token_id": config.bos_token_id, "eos_token_id": config.eos_token_id}
    draft.write_json(
        "generation_config.json", {k: v for k, v in generation.items() if v is not None}
    )
    draft.write_bytes(TOKENIZER, tokenizer.read_bytes(TOKENIZER))
    if TOKENIZER_CONFIG in tokenizer.files:
        draft.write_bytes(TOKENIZER_CONFIG, tokenizer.read_bytes(TOKENIZER_CONFIG))
    return draft


def load_model(folder: Path) -> LoadedModel:
    """Read a model folder, ours or any Llama saved by transformers, in float32.

    Raises InputError for a file that is missing, cut short or foreign, naming it.
    """
    need("torch", extra="train", why="to run a model")
    from tenfold.models import int8
    from tenfold.models.llama import Llama
    from tenfold.models.names import from_transformers

    config, plain = read_config(folder)
    where = str(folder / WEIGHTS)
    quantization = plain.get("quantization_config")
    if quantization is not None:
        int8.check(quantization, str(folder / "config.json"))
    state = from_transformers(read_weights(folder), config, where)
    model = Llama(config)
    placed = int8.to_int8(model, state, where) if quantization is not None else set()
    own = model.state_dict()
    read = {name: state[name] for name in own if name in state and name not in placed}
    for name, tensor in read.items():
        if not tensor.is_floating_point():
            raise InputError(
                f"{name} holds whole numbers and cannot be read as weights", where=where, hint=_HINT
            )
    try:
        # assign: the tensors just read become the parameters, nothing is copied
        model.load_state_dict({**own, **{k: v.float() for k, v in read.items()}}, assign=True)
    except RuntimeError as error:
        raise InputError(
            f"the weights do not have the shapes that config.json says: {error}", where=where
        ) from None
    model.requires_grad_(False).eval()
    return LoadedModel(model, config, read_tokenizer(folder))


def read_config(folder: Path) -> tuple[LlamaConfig, dict[str, Any]]:
    """The network's shape, and config.json as it stands."""
    path = folder / "config.json"
    try:
        plain = json.loads(path.read_bytes())
    except OSError:
        raise InputError("this folder has no config.json", where=str(folder), hint=_HINT) from None
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=str(path), hint=_HINT) from None
    if not isinstance(plain, dict):
        raise InputError("must hold one JSON object", where=str(path), hint=_HINT)
    return LlamaConfig.from_dict(plain, str(path)), plain


def read_weights(folder: Path) -> dict[str, Any]:
    """Tensors under their names on disk."""
    need("safetensors", extra="train", why="to read model weights")
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / WEIGHTS
    try:
        return load(path.read_bytes())
    except OSError:
        raise InputError(f"this folder has no {WEIGHTS}", where=str(folder), hint=_HINT) from None
    except SafetensorError as error:
        raise InputError(
            f"not a safetensors file, or cut short: {error}", where=str(path), hint=_HINT
        ) from None


def read_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    library = need("tokenizers", extra="train", why="to read a tokenizer")
    path = folder / TOKENIZER
    if not path.is_file():
        raise InputError(f"this folder has no {TOKENIZER}", where=str(folder), hint=_HINT)
    try:
        return library.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception, whatever is wrong
        raise InputError(f"not a tokenizer: {error}", where=str(path), hint=_HINT) from None


_HINT = "a model is a folder with config.json, model.safetensors and tokenizer.json"
