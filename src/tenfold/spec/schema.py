"""The JSON Schema of factory.yaml, for editors: completion, descriptions and red lines while typing.

Generated from the models and from the steps themselves, so each knob is described where it lives.
`tenfold schema` prints it; the copy beside this file is what the package ships.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import types
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from tenfold.core.config import REQUIRED, Setting, plain, settings_of_dataclass
from tenfold.core.step import Step
from tenfold.spec.models import FactorySpec
from tenfold.spec.part import Part

SHIPPED = Path(__file__).with_name("factory.schema.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text(steps: Mapping[str, Step]) -> str:
    """The schema as the file that is shipped."""
    return json.dumps(factory_schema(steps), indent=1, ensure_ascii=False) + "\n"


def factory_schema(steps: Mapping[str, Step]) -> dict[str, Any]:
    """A schema that knows the settings of every step in `steps`."""
    schema = FactorySpec.model_json_schema()
    parts = schema.pop("$defs")
    owners = {owner.__name__: owner for owner in Part.__subclasses__()}
    for name, part in (("FactorySpec", schema), *parts.items()):
        part.pop("title", None)
        # Read off the sources here, for editors: pydantic would do it whenever a factory starts.
        docs = field_docs(owners[name])
        fields = part.get("properties", {})
        for field_name, field in fields.items():
            field.pop("title", None)
            if field_name in docs:
                field["description"] = docs[field_name]
            fields[field_name] = dict(sorted(field.items()))
    asset = parts["AssetSpec"]
    asset["properties"]["step"]["anyOf"] = [
        *(
            {"const": name, "description": _first_line(step)}
            for name, step in sorted(steps.items())
        ),
        {"pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", "description": "my_module:function"},
    ]
    asset["allOf"] = [_when_step(name, step) for name, step in sorted(steps.items())]
    for name, step in sorted(steps.items()):
        parts[f"config {name}"] = _settings_schema(step.settings, step.config_class)
    # A file laid over another one may leave out what that one says.
    asset.pop("required")
    schema.pop("required")
    schema["if"] = {"required": ["extends"]}
    schema["else"] = {
        "required": ["factory"],
        "anyOf": [
            {"required": ["assets"]},
            {"required": ["serve"]},
        ],  # a gateway alone makes nothing
        "properties": {
            "assets": {"additionalProperties": {"type": "object", "required": ["step"]}}
        },
    }
    assets = schema["properties"]["assets"]
    (pattern, one), *_ = assets["patternProperties"].items()
    assets["patternProperties"] = {pattern: {"anyOf": [one, {"type": "null"}]}}
    assets["additionalProperties"] = False
    return {
        "$schema": DIALECT,
        "title": "tenfold factory",
        **schema,
        "$defs": dict(sorted(parts.items())),
    }


def _when_step(name: str, step: Step) -> dict[str, Any]:
    then: dict[str, Any] = {
        "properties": {
            "config": {"anyOf": [{"$ref": f"#/$defs/config {name}"}, {"type": "null"}]},
        }
    }
    if step.variadic is None:
        count = len(step.inputs)
        inputs = ", ".join(f"{parameter} ({kind})" for parameter, kind in step.inputs.items())
        then["properties"]["needs"] = {
            "description": f"Takes {inputs or 'nothing'}.",
            "if": {"type": "array"},
            "then": {"minItems": count, "maxItems": count},
            "else": {"propertyNames": {"enum": list(step.inputs)}},
        }
    return {"if": {"properties": {"step": {"const": name}}, "required": ["step"]}, "then": then}


def _settings_schema(settings: Mapping[str, Setting], owner: type | None) -> dict[str, Any]:
    docs = field_docs(owner) if owner else {}
    properties = {}
    for name, setting in settings.items():
        entry = type_schema(setting.type)
        doc = setting.doc or docs.get(name)
        if doc:
            entry["description"] = doc
        if setting.default is not REQUIRED:
            entry["default"] = plain(setting.default)
        properties[name] = entry
    # What is required is not said: a layer above or a --set may give it. Loading checks the whole.
    return {"type": "object", "additionalProperties": False, "properties": properties}


_TYPES: dict[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    None: "null",
}


def type_schema(hint: Any) -> dict[str, Any]:
    """The schema of what `core.config.read_value` accepts for a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [type_schema(argument) for argument in arguments]}
    if origin in (list, tuple) or hint in (list, tuple):
        return {"type": "array", **({"items": type_schema(arguments[0])} if arguments else {})}
    if (
        origin in (dict, Mapping)
        or hint is dict
        or (inspect.isclass(origin) and issubclass(origin, Mapping))
    ):
        values = {"additionalProperties": type_schema(arguments[1])} if arguments else {}
        return {"type": "object", **values}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _settings_schema(settings_of_dataclass(hint), hint)
    return {"type": _TYPES[hint]} if hint in _TYPES else {}


def field_docs(cls: type) -> dict[str, str]:
    """The text below each field of a dataclass and of what it inherits from, read from their sources."""
    docs: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        docs.update(_own_docs(owner))
    return docs


def _own_docs(cls: type) -> dict[str, str]:
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError):  # built in, or typed into a notebook
        return {}
    docs = {}
    for line, below in pairwise(body.body if isinstance(body, ast.ClassDef) else []):
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            docs[line.target.id] = " ".join(below.value.value.split())
    return docs


def _first_line(step: Step) -> str:
    return (inspect.getdoc(step.function) or step.name).partition("\n\n")[0].replace("\n", " ")
