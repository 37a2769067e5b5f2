"""`tenfold schema`."""

from __future__ import annotations

from tenfold.cli.options import Json


def schema(as_json: Json = True) -> None:
    """Print the JSON Schema of factory.yaml with the settings of every built-in step, for editors."""
    from tenfold.factory.catalogue import built_in_steps
    from tenfold.spec.schema import schema_text

    print(schema_text(built_in_steps()), end="")
