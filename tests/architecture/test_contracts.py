"""The house rules that a machine can check: who may know whom, how long a file may be, who reads what."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys

import tenfold

LONGEST_LINES = 500
MEDIAN_LINES = 150


def test_import_contracts_hold(root):
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_are_short(root, sources):
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    long = {str(p.relative_to(root)): n for p, n in lines.items() if n > LONGEST_LINES}
    assert not long
    assert statistics.median(lines.values()) < MEDIAN_LINES


def test_every_module_says_what_it_is(root, sources):
    silent = [
        str(path.relative_to(root))
        for path in sources
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_the_environment_is_read_in_one_place(root, sources):
    readers = []
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
                readers.append(f"{path.relative_to(root)}:{node.lineno}")
    allowed = "src/tenfold/settings.py"
    assert [reader for reader in readers if not reader.startswith(allowed)] == []


def test_nothing_is_pickled(root, sources):
    guilty = []
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if {name.partition(".")[0] for name in names} & {"pickle", "dill", "joblib", "shelve"}:
                guilty.append(f"{path.relative_to(root)}:{node.lineno}")
    assert guilty == []


def test_no_rooms_for_odds_and_ends(root, sources):
    nameless = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not [p for p in sources if nameless & set(p.relative_to(root).with_suffix("").parts)]


def test_the_public_surface_is_sorted_there_and_explained():
    assert tenfold.__all__ == sorted(set(tenfold.__all__))
    unexplained = [
        name
        for name in tenfold.__all__
        if name != "__version__" and not (getattr(tenfold, name).__doc__ or "").strip()
    ]
    assert not unexplained
    assert set(tenfold.__all__) <= set(dir(tenfold))


def test_tests_have_the_rooms_of_the_package(root):
    package = root / "src" / "tenfold"
    extra = {"architecture", "system"}
    rooms = {path.name for path in package.iterdir() if path.is_dir()}
    folders = {
        p.name for p in (root / "tests").iterdir() if p.is_dir() and any(p.glob("**/test_*.py"))
    }
    assert folders - rooms <= extra
