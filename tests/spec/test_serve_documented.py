"""docs/factory-file.md shows every field of `serve:`, and what it shows is a valid file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from pydantic import BaseModel

from tenfold.spec.serving import BackendSpec, ServeSpec

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```yaml\n(serve:\n.*?)```", re.DOTALL)


def shown() -> dict:
    blocks = BLOCK.findall((DOCS / "factory-file.md").read_text())
    return max((yaml.safe_load(block)["serve"] for block in blocks), key=len)


def test_every_field_of_serve_is_shown():
    plain = shown()
    assert set(plain) == set(ServeSpec.model_fields)
    assert set(plain["backends"][0]) == set(BackendSpec.model_fields)
    for name, field in ServeSpec.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            assert set(plain[name]) == set(field.annotation.model_fields), name


def test_what_is_shown_as_default_is_the_default():
    plain, made_up = shown(), {"model", "backends", "tls", "redis_url_env", "prices", "tenants"}
    spec = ServeSpec.model_validate_json(json.dumps(plain | {"backends": [], "routing": {}}))
    for name in set(plain) - made_up - {"routing"}:
        assert getattr(spec, name) == ServeSpec.model_fields[name].get_default(
            call_default_factory=True
        ), name
    routing = {**plain["routing"], "fallbacks": {}}
    assert (
        ServeSpec.model_validate_json(json.dumps({"model": "a", "routing": routing})).routing
        == ServeSpec(model="a").routing
    )
