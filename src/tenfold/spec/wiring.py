"""Assets, steps and settings of a factory file held against the steps themselves, all faults at once.

Unknown steps, unknown needs, cycles, inputs of the wrong number or kind, settings. Which steps exist is
told by whoever calls: `resolve(name)` gives the Step, None when there is none, or raises a TenfoldError
that says why it cannot be had (a module that does not import, say).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tenfold.core.config import REQUIRED, read_value
from tenfold.core.graph import Node, graph_faults, kind_faults
from tenfold.core.step import Step
from tenfold.errors import ConfigError, TenfoldError, UnknownName, suggestion
from tenfold.spec.place import Fault, Path, read_path, write_path
from tenfold.spec.read import Tree

Resolve = Callable[[str], Step | None]


def wiring_faults(tree: Tree, resolve: Resolve | None, known: Iterable[str] = ()) -> list[Fault]:
    """Every fault that can be told. Without `resolve`, only what the graph's shape shows."""
    assets = tree.data.get("assets")
    if not isinstance(assets, dict):
        return []
    rows = {name: asset for name, asset in assets.items() if isinstance(asset, dict)}
    steps, faults = _steps(tree, rows, resolve, known) if resolve else ({}, [])
    needs = {name: _needs(asset.get("needs")) for name, asset in rows.items()}
    found = list(graph_faults({**dict.fromkeys(assets, ()), **needs}))
    if found:  # a cycle is only looked for among known assets: look again without the unknown ones
        known_needs = {
            name: [need for need in needs.get(name, ()) if need in assets] for name in assets
        }
        found += graph_faults(known_needs)
    for name, text in dict.fromkeys(found):
        faults.append(_need_fault(tree, name, text, rows[name].get("needs")))
    for name, step in steps.items():
        if step is None:
            continue
        faults += _inputs(tree, name, step, rows[name].get("needs"), rows, steps)
        faults += _settings(tree, ("assets", name, "config"), step, rows[name].get("config"))
    return faults


def ordered_needs(step: Step, needs: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
    """Needs in the order the step takes them, whichever way they were written."""
    if isinstance(needs, Mapping):
        return tuple(needs[parameter] for parameter in step.inputs if parameter in needs)
    return tuple(needs)


def _needs(needs: Any) -> tuple[str, ...]:
    names = needs.values() if isinstance(needs, dict) else needs if isinstance(needs, list) else ()
    return tuple(name for name in names if isinstance(name, str))


def _steps(
    tree: Tree, rows: Mapping[str, Any], resolve: Resolve, known: Iterable[str]
) -> tuple[dict[str, Step | None], list[Fault]]:
    steps: dict[str, Step | None] = {}
    faults = []
    for name, asset in rows.items():
        given = asset.get("step")
        if not isinstance(given, str) or not given:
            continue
        path: Path = ("assets", name, "step")
        steps[name] = None
        try:
            steps[name] = resolve(given)
            if steps[name] is None:
                hint = suggestion(given, known)
                text = f'unknown step "{given}"' + (f", {hint}" if hint else "")
                faults.append(Fault(tree.places.of_value(path), path, text))
        except TenfoldError as error:
            text = error.fact + (f", {error.hint}" if error.hint else "")
            faults.append(Fault(tree.places.of_value(path), path, text))
    return steps, faults


def _need_fault(tree: Tree, name: str, text: str, needs: Any) -> Fault:
    path: Path = ("assets", name, "needs")
    items = needs.items() if isinstance(needs, dict) else enumerate(needs or ())
    exact = next((key for key, need in items if f"asset {need!r}" in text), None)
    if exact is not None:
        path = (*path, exact)
    return Fault(tree.places.of_value(path), path, text)


def _inputs(
    tree: Tree,
    name: str,
    step: Step,
    needs: Any,
    rows: Mapping[str, Any],
    steps: Mapping[str, Step | None],
) -> list[Fault]:
    path: Path = ("assets", name, "needs")
    if isinstance(needs, dict):
        unknown = [parameter for parameter in needs if parameter not in step.inputs]
        if unknown:
            hints = {parameter: suggestion(parameter, step.inputs) for parameter in unknown}
            return [
                Fault(
                    tree.places.of((*path, parameter)),
                    path,
                    f'{step.name} has no input "{parameter}"' + (f", {hint}" if hint else ""),
                )
                for parameter, hint in hints.items()
            ]
        wanted = ordered_needs(step, needs)
    else:
        wanted = _needs(needs)
    if (isinstance(needs, list) and len(wanted) != len(needs)) or any(
        n not in rows for n in wanted
    ):
        return []  # already a fault of its own
    sources = [steps.get(need) for need in wanted]
    node = Node(name=name, step=step, needs=wanted)
    if all(source is not None for source in sources):
        found = kind_faults(node, [source for source in sources if source is not None])
    else:
        # The step behind a need is not known, so its kind is not either; the number of needs still is.
        found = kind_faults(node, [step] * len(sources)) if len(sources) != len(step.inputs) else []
    return [Fault(tree.places.of_value(path), path, text) for _, text in found]


def _settings(tree: Tree, path: Path, step: Step, given: Any) -> list[Fault]:
    """Faults of a step's settings: each on its own, then what only the whole can show."""
    given = {} if given is None else given
    if not isinstance(given, dict):
        return []  # a fault of the shape
    faults = []
    for name in given:
        if name not in step.settings:
            hint = suggestion(name, step.settings)
            text = f'{step.name} has no setting "{name}"' + (f", {hint}" if hint else "")
            faults.append(Fault(tree.places.of((*path, name)), path, text))
    for name, setting in step.settings.items():
        if name in given:
            try:
                read_value(setting.type, given[name], write_path((*path, name)))
            except (ConfigError, UnknownName) as error:
                faults.append(_config_fault(tree, (*path, name), step, error))
        elif setting.default is REQUIRED:
            text = f'the setting "{name}" of {step.name} is required'
            faults.append(Fault(tree.places.of(path), path, text))
    return faults + _range_faults(tree, path, given, step, {fault.path for fault in faults})


def _range_faults(
    tree: Tree, path: Path, given: Mapping[str, Any], step: Step, known: set[Path]
) -> list[Fault]:
    """What a step's own rules say. They stop at the first fault: a setting at fault is left out, and the
    rest asked again. Left-out settings have their defaults, so only faults of given ones are told."""
    rest = {
        name: value
        for name, value in given.items()
        if name in step.settings and (*path, name) not in known
    }
    faults: list[Fault] = []
    while True:
        try:
            step.configure(rest, write_path(path))
            return faults
        except (ConfigError, UnknownName) as error:
            fault = _config_fault(tree, path, step, error)
        at = fault.path[len(path)] if len(fault.path) > len(path) else None
        if at not in rest:
            first = not faults and not known and set(rest) == set(given)
            return [fault] if first else faults
        faults.append(fault)
        del rest[at]


def _config_fault(tree: Tree, path: Path, step: Step, error: ConfigError | UnknownName) -> Fault:
    """At the setting the error speaks about, when that can be told; else at `path`."""
    found = read_path(error.where) if error.where else None
    about = error.fact.partition(" ")[0].strip("`'\"")
    if found and len(found) > len(path) and found[: len(path)] == path:
        at = found
    elif found and found[0] in step.settings:
        at = (*path, *found)
    elif about in step.settings and path[-1] == "config":
        at = (*path, about)  # most such sentences open with the setting's name
    else:
        at = path
    seen = f" (seen: {error.seen!r})" if error.seen is not None else ""
    text = error.fact + seen + (f", {error.hint}" if error.hint else "")
    return Fault(tree.places.of_value(at), at, text)
