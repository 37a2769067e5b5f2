"""Finding the command, errors, exit codes, --json, and what help may cost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tenfold.cli.commands import COMMANDS, EXIT_CODES


def test_help_imports_nothing_heavy_and_not_even_typer():
    code = (
        "import sys\n"
        "from tenfold.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'ray', 'pandas', 'numpy', 'starlette', 'pydantic', 'typer', 'rich', 'yaml', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for name in COMMANDS:
        assert f"  {name} " in done.stdout
    for number, _ in EXIT_CODES:
        assert f"  {number} " in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_without_torch(name):
    code = (
        "import sys\n"
        "from tenfold.cli.main import main\n"
        f"try: main(['{name}', '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "print(sorted({'torch', 'ray', 'pandas', 'numpy', 'starlette', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "--json" in done.stdout


def test_version(tenfold):
    import tenfold as package

    assert package.__version__ in tenfold("--version").out
    assert tenfold("--version --json").json["tenfold"] == package.__version__


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pln", 'did you mean "plan"?'),
        ("zzz", "tenfold --help"),
        ("--jsn", "unknown option '--jsn'"),
        ("plan --jso", "no such option: --jso"),
        ("promote", "missing argument"),
        ("gc --keep-last none", "keep-last"),
        ("plan -f nowhere.yaml", "there is no such file"),
        ("plan nothing", "unknown asset 'nothing'"),
        ("plan --set assets.double.config.by=3", 'did you mean "doubled"?'),
        ("promote tripled champion", "champion"),
        ("rollback table@lve", "table@lve"),
        ("show nothing", "unknown asset 'nothing'"),
        ("why chatcmpl-1", "chatcmpl-1"),
        ("keys revoke nobody", "nobody"),
        ("promote table@live tripled", "tenfold promote tripled table@live"),
        ("init .", "there is a factory here already"),
    ],
)
def test_what_cannot_be_is_exit_code_2_in_words_and_in_json(tenfold, folder, line, said):
    plain = tenfold(line)
    assert plain.code == 2
    assert plain.out == ""
    assert said in plain.err
    assert "Traceback" not in plain.err
    spoken = tenfold(f"{line} --json")
    assert spoken.code == 2
    assert spoken.err == ""
    assert spoken.json["exit_code"] == 2
    assert said in json.dumps(spoken.json, ensure_ascii=False).replace('\\"', '"')


def test_all_faults_of_a_file_reach_the_reader(tenfold, folder):
    (folder / "factory.yaml").write_text("factory: X\nassets: {a: {step: nope.nope}, b: {}}\n")
    done = tenfold("plan")
    assert done.code == 2
    assert done.err.startswith("tenfold: 3 faults in the factory file\n")
    assert len(tenfold("plan --json").json["faults"]) == 3


def test_a_machine_fault_is_exit_code_3(tenfold, folder):
    (folder / ".tenfold").write_text("a file where the store should be")
    done = tenfold("run")
    assert done.code == 3
    assert "Traceback" not in done.err
    assert tenfold("run --json").json["exit_code"] == 3


def test_a_closed_pipe_is_no_error(command, folder):
    line = " ".join([sys.executable, "-c", f"'{command[2]}'", "schema", "|", "head", "-c", "10"])
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert len(done.stdout) == 10
    assert done.stderr == ""
