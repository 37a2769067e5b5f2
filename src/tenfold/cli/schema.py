"""`tenfold schema`."""

from __future__ import annotations

from pathlib import Path

from tenfold.cli.options import Json


def schema(as_json: Json = True) -> None:
    """Print the JSON Schema of factory.yaml with the settings of every built-in step, for editors."""
    from tenfold.factory.catalogue import Catalogue
    from tenfold.spec.schema import schema_text

    catalogue = Catalogue(Path())
    print(schema_text({name: catalogue.get(name) for name in catalogue.names()}), end="")
