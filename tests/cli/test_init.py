"""What `tenfold init` writes is a factory, explained, and never in anybody's way."""

from __future__ import annotations

import subprocess

from tenfold.spec.load import load


def test_a_new_folder_gets_a_valid_factory(tenfold, tmp_path):
    target = tmp_path / "My Bot!"
    done = tenfold("init --json", str(target))
    assert done.code == 0
    assert [path.rpartition("/")[2] for path in done.json["written"]] == [
        "factory.yaml",
        ".gitignore",
    ]
    spec = load(target)
    assert spec.factory == "my-bot"
    assert spec.serve is not None
    plan = tenfold("plan --json -f", str(target))
    assert plan.code == 0, plan.err
    assert plan.json["counts"]["run"] >= 1


def test_git_leaves_the_store_out(tenfold, tmp_path):
    tenfold("init", str(tmp_path))
    (tmp_path / ".tenfold").mkdir()
    (tmp_path / ".tenfold" / "blob").write_text("x")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    seen = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert sorted(line.split()[1] for line in seen.stdout.splitlines()) == [
        ".gitignore",
        "factory.yaml",
    ]


def test_nothing_is_overwritten(tenfold, tmp_path):
    (tmp_path / ".gitignore").write_text("mine\n")
    assert tenfold("init", str(tmp_path)).code == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    (tmp_path / "factory.yaml").write_text("changed: yes\n")
    assert tenfold("init", str(tmp_path)).code == 2
    assert (tmp_path / "factory.yaml").read_text() == "changed: yes\n"
    (tmp_path / "file").write_text("")
    assert tenfold("init", str(tmp_path / "file")).code == 2
