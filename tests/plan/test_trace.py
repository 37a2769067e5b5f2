import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import InputError
from tenfold.plan.trace import (
    SCHEMA,
    TraceRequest,
    parse_trace,
    read_trace,
    trace_lines,
    write_trace,
)

requests = st.builds(
    TraceRequest,
    at_s=st.floats(0, 1e9),
    prompt=st.text(),
    max_tokens=st.integers(1, 10**6),
    stream=st.booleans(),
    intent=st.text(),
)


@given(st.lists(requests, min_size=1))
def test_what_is_written_is_read_again(stream):
    text = "".join(trace_lines(stream))
    assert parse_trace(text.split("\n")) == sorted(stream, key=lambda request: request.at_s)


def test_a_file_goes_there_and_back(tmp_path):
    stream = [TraceRequest(0.5, "zwei – drei\u2028vier", 3, True, "i"), TraceRequest(1.0, "x")]
    path = tmp_path / "trace.jsonl"
    assert write_trace(path, stream) == 2
    assert read_trace(path) == stream


def test_the_schema_names_the_columns_of_a_row():
    row = TraceRequest(0.0, "x").to_row()
    assert {name: type(value).__name__ for name, value in row.items()} == SCHEMA


def test_a_log_with_other_columns_and_no_order_is_a_trace_too():
    lines = ['{"at_s": 2, "prompt": "b", "status": 200}', "", '{"at_s": 1, "prompt": "a"}']
    assert [request.prompt for request in parse_trace(lines)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("[]", "prompt"),
        ('{"text": "x"}', "prompt"),
        ('{"prompt": 5}', "str"),
        ('{"prompt": "x", "at_s": "soon"}', "seconds"),
        ('{"prompt": "x", "at_s": NaN}', "seconds"),
        ('{"prompt": "x", "max_tokens": 0}', "1 or more"),
        ('{"prompt": "x", "max_tokens": true}', "int"),
        ('{"prompt": "x", "stream": 1}', "bool"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(line, says):
    with pytest.raises(InputError, match=says) as caught:
        parse_trace(['{"prompt": "fine"}', line])
    assert caught.value.where == "trace:2"


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(InputError, match="no requests"):
        parse_trace(["", "  "])
    with pytest.raises(InputError, match="cannot read"):
        read_trace(tmp_path / "missing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read"):
        read_trace(tmp_path / "latin.jsonl")
