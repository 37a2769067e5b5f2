"""A file of answers after a crash at any byte."""

from __future__ import annotations

import json
import resource
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.batch.results import Results


def line(custom_id):
    return json.dumps({"custom_id": custom_id, "response": {"body": "ü" * 5}}).encode()


@given(
    st.lists(st.text(max_size=8), unique=True, max_size=6),
    st.integers(0, 500),
    st.sampled_from([b"", bytes(700), b"{}\n", b'{"custom_id":1}\n', b"\n"]),
)
def test_whole_lines_before_the_damage_are_kept(tmp_path_factory, ids, cut, rubbish):
    path = tmp_path_factory.mktemp("results") / "out"
    results = Results(path)
    for id in ids:
        results.append(id, line(id))
    results.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + rubbish)
    opened = Results(path)
    kept = opened.answered
    count = whole[:cut].count(b"\n")
    assert kept == set(ids[:count])
    opened.append("next", line("next"))
    opened.close()
    assert [json.loads(one)["custom_id"] for one in path.read_bytes().splitlines()] == [
        *ids[:count], "next",
    ]  # fmt: skip


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path):
    """A file that may not grow takes part of a line; the part must go."""
    results = Results(tmp_path / "out")
    results.append("a", line("a"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (results.num_bytes + 10, limits[1]))
    try:
        with pytest.raises(OSError):
            results.append("b", line("b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    results.append("c", line("c"))
    results.close()
    assert [
        json.loads(one)["custom_id"] for one in (tmp_path / "out").read_text().splitlines()
    ] == ["a", "c"]
    assert results.answered == {"a", "c"}
