"""`tenfold emit edge`: what it writes runs, and what it is told cannot become something else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize(("kind", "check"), [("nginx", "nginx"), ("varnish", "varnishd")])
def test_what_is_written_is_a_configuration(tenfold, folder, require, kind, check):
    require(shutil.which(check), check)
    done = tenfold(
        f"emit edge {kind} --out edge --origin http://127.0.0.1:9 --listen 127.0.0.1:18081"
        " --slot name --slot long_note --trust 10.0.0.0/8 --trust fd00::/8 --json"
    )
    assert done.code == 0, done.err
    said = json.loads(done.out)
    files = {Path(path).name: Path(path) for path in said["written"]}
    assert "README.md" in files
    secrets = json.loads(files["secrets.json"].read_text())
    for path in files.values():
        secret = any(one in path.read_text() for one in (secrets["purge"], *secrets["slots"]))
        assert path.stat().st_mode & 0o077 == 0 or not secret
        assert "@DIR@" not in path.read_text()
    if kind == "nginx":
        command = ["nginx", "-t", "-c", files["nginx.conf"]]
    else:
        command = ["varnishd", "-j", "none", "-C", "-f", files["edge.vcl"]]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    again = tenfold(f"emit edge {kind} --out edge --listen 127.0.0.1:18081")
    assert again.code == 0, again.err
    assert json.loads(files["secrets.json"].read_text()) == secrets


@pytest.mark.parametrize(
    "wrong",
    [
        ["--origin", "http://127.0.0.1:80; } evil {"], ["--origin", "https://x"], ["--origin", "http://a b"],
        ["--origin", "http://user:secret@host"], ["--origin", "http://h/path"], ["--origin", "http://h:99999"],
        ["--listen", "127.0.0.1"], ["--listen", "localhost:80"], ["--listen", "127.0.0.1:80 ssl"],
        ["--listen", "127.0.0.1:0"], ["--admin", "127.0.0.1:8081"], ["--inner", "0.0.0.0:9000"],
        ["--slot", "a;b"], ["--slot", "Name"], ["--slot", 'x"'], ["--slot", "a", "--slot", "a"],
        ["--trust", "10.0.0.0/8; 0.0.0.0/0"], ["--trust", "everywhere"], ["--cache-mb", "0"],
        ["--out", "od d"], ["--out", "x;y"], ["--out", "../up"], ["--out", "new\nline"],
        ["--secrets", "/nowhere/secrets.json"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["nginx", "varnish"])
def test_odd_values_are_refused(folder, kind, wrong):
    from tenfold.cli.main import main

    out = [] if "--out" in wrong else ["--out", str(folder / "edge")]
    with pytest.raises(SystemExit) as ended:
        main(["emit", "edge", kind, *out, *wrong])
    assert ended.value.code == 2
    assert not list(folder.rglob("nginx.conf")) + list(folder.rglob("edge.vcl"))


def test_an_edge_that_is_none_is_told(tenfold, folder):
    done = tenfold("emit edge nginxx --out edge")
    assert done.code == 2
    assert 'did you mean "nginx"?' in done.err
