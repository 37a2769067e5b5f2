"""The doctor asks the real machine; each fault here is a real one, made on purpose."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from tenfold.cli.checkup import energy, free_port, writable


def findings(done) -> dict[str, dict]:
    return {finding["what"]: finding for finding in done.json["findings"]}


def test_a_healthy_machine(tenfold, folder):
    done = tenfold("doctor --json")
    assert done.code == 0
    found = findings(done)
    assert found["factory"]["state"] == "ok"
    assert found["ledger"]["seen"] == "SQLite in WAL mode"
    assert not list(folder.glob(".tenfold*"))  # asking leaves nothing behind
    assert "sqlite" in tenfold("doctor").out


def test_a_broken_factory_file_is_a_fault(tenfold, folder):
    (folder / "factory.yaml").write_text("factory: [\n")
    done = tenfold("doctor --json")
    assert done.code == 3
    assert findings(done)["factory"]["state"] == "fault"


def test_a_store_of_a_newer_version_is_a_fault(tenfold, folder):
    assert tenfold("run").code == 0
    ledger = sqlite3.connect(folder / ".tenfold" / "ledger.db")
    ledger.execute("PRAGMA user_version=9999")
    ledger.close()
    done = tenfold("doctor --json")
    assert done.code == 3
    assert "newer" in findings(done)["factory"]["seen"]


def test_a_store_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    (found,) = list(writable(blocked / "store"))
    assert found.state == "fault"
    assert "TENFOLD_STORE" in found.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    assert next(iter(writable(tmp_path / "store"))).state == "fault"


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port).state == "warning"
    assert free_port("127.0.0.1", 0).state == "ok"


def test_energy_says_how_it_is_known(tmp_path):
    assert "modelled" in energy(tmp_path).seen
    counter = tmp_path / "intel-rapl:0" / "energy_uj"
    counter.parent.mkdir()
    counter.write_text("1")
    assert energy(tmp_path).seen == "measured (RAPL)"


def test_the_doctor_asks_about_packages_without_importing_them(command, folder):
    code = command[2].replace("main()", "") + (
        "\nimport sys\ntry: main(['doctor'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'psycopg', 'tokenizers'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
