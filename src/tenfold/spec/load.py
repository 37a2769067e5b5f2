"""A factory file -> FactorySpec, or one SpecError with every fault of it.

    spec = load("factory.yaml", ["assets.base.config.steps=50"], resolve=steps.find, known=steps.names)

Layers first (extends, --set), then shape, references and wiring: all are asked before anything is raised.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from tenfold.errors import SpecError
from tenfold.spec.faults import shape_faults
from tenfold.spec.layers import override, read_layers
from tenfold.spec.models import FactorySpec
from tenfold.spec.place import Fault
from tenfold.spec.read import Tree
from tenfold.spec.references import reference_faults
from tenfold.spec.wiring import Resolve, wiring_faults

_MISSING = (
    "make one with `tenfold init`, name another with --file, or serve a server's models without one: "
    "`tenfold serve --backend URL`"
)


def load(
    path: str | Path,
    sets: Sequence[str] = (),
    *,
    resolve: Resolve | None = None,
    known: Iterable[str] = (),
) -> FactorySpec:
    """Read, merge and check a factory file. `sets` are `path=value` overrides; nothing else is touched.

    With `resolve` (step name -> Step), steps, inputs and settings are checked as well; `known` are the
    names to suggest from. Raises SpecError with all faults, in the order of the file.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "factory.yaml"
    tree = read_layers(file)
    override(tree, sets)
    spec = None
    if isinstance(tree.data, dict):
        spec, faults = _shape(tree)
        tree.faults += faults + reference_faults(tree) + wiring_faults(tree, resolve, known)
    if tree.faults or spec is None:
        missing = not file.exists()
        raise SpecError(
            _in_order(tree),
            hint=_MISSING if missing else None,
        )
    spec._path = file
    spec._places = tree.places
    return spec


def _shape(tree: Tree) -> tuple[FactorySpec | None, list[Fault]]:
    try:
        # By way of JSON: pydantic's strict mode takes a JSON list for a tuple, and nothing else is guessed.
        return FactorySpec.model_validate_json(json.dumps(tree.data)), []
    except ValidationError as error:
        return None, shape_faults(tree, error)


def _in_order(tree: Tree) -> list[str]:
    """Faults of one file by line; files in the order they first come up; each fault once."""
    files = {file: i for i, file in enumerate(dict.fromkeys(f.place.file for f in tree.faults))}
    ordered = sorted(tree.faults, key=lambda f: (files[f.place.file], f.place.line, f.place.column))
    return list(dict.fromkeys(str(fault) for fault in ordered))
