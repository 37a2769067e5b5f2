"""What must work without the heavy packages: everything up to the moment a step or a server runs.

Each case is a fresh interpreter in which the packages cannot be imported at all, as if not installed.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = "torch numpy pandas ray transformers tokenizers safetensors scipy pyarrow"

BLOCK = """
import importlib, importlib.abc, pkgutil, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = set(%r.split())
sys.meta_path.insert(0, Absent())

def every(room):
    package = importlib.import_module(room)
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), room + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
"""


def run(code: str, blocked: str = HEAVY) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK % blocked + code],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("room", ["core", "errors", "need", "settings"])
def test_the_pure_rooms_need_the_standard_library_only(room):
    run(
        f"every('tenfold.{room}')",
        HEAVY + " pydantic yaml typer rich starlette uvicorn msgspec orjson jinja2",
    )


@pytest.mark.parametrize(
    "room",
    [
        "spec",
        "stores",
        "ledger",
        "engines",
        "queries",
        "factory",
        "cli",
        "serve.access",
        "serve.gateway",
        "serve.cache",
        "serve.router",
        "serve.edge",
        "observe",
    ],
)
def test_rooms_that_need_only_the_base_install(room):
    run(f"every('tenfold.{room}')")


def test_planning_needs_no_model_maths():
    """Every built-in step can be imported, configured and described where only the base is installed."""
    count = run(
        "from tenfold.factory.catalogue import Catalogue\n"
        "from pathlib import Path\n"
        "steps = Catalogue(Path('.'))\n"
        "print(len([steps.get(name).settings for name in steps.names()]))"
    )
    assert int(count) >= 8


def test_importing_tenfold_imports_next_to_nothing():
    loaded = run(
        "import tenfold\nprint(*sorted(m for m in sys.modules if m.startswith('tenfold')))"
    )
    assert loaded == "tenfold"


def test_the_public_surface_needs_only_the_base():
    run("import tenfold\nfor name in tenfold.__all__: getattr(tenfold, name)")
