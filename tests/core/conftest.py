"""Steps and nodes without a factory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenfold.core.graph import Node
from tenfold.core.step import Resources, Step


@pytest.fixture
def make_node() -> Callable[..., Node]:
    """`make_node("b", "a", inputs={"x": "corpus"}, output="model")`: b needs a."""

    def make(name: str, *needs: str, **given: Any) -> Node:
        made = Step(
            name=given.pop("step", "test.step"),
            version=given.pop("version", "1"),
            function=lambda: None,
            settings={},
            config_class=None,
            inputs=given.pop("inputs", {}),
            variadic=given.pop("variadic", "inputs"),
            output=given.pop("output", "asset"),
            takes_context=False,
            resources=Resources(),
            observe=given.pop("observe", None),
            retries=0,
        )
        return Node(name=name, step=made, needs=needs, **given)

    return make
