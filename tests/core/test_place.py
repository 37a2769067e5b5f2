"""A process id is believed only where it was given out."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys

import pytest

from tenfold.core.place import here

PRINT = "from tenfold.core.place import here; print(here())"


def test_processes_side_by_side_are_in_one_place() -> None:
    beside = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, text=True)
    assert beside.stdout.strip() == here()
    assert here().startswith(socket.gethostname())


def test_another_process_namespace_of_the_same_host_is_another_place() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare on this machine")
    inside = subprocess.run(
        ["unshare", "--user", "--pid", "--fork", "--mount-proc", sys.executable, "-c", PRINT],
        capture_output=True,
        text=True,
    )
    if inside.returncode != 0:
        pytest.skip(f"namespaces are not allowed here: {inside.stderr.strip()[:80]}")
    assert inside.stdout.startswith(socket.gethostname())
    assert inside.stdout.strip() != here()
