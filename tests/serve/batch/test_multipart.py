"""Forms as httpx writes them, and bytes that nobody should have written."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.batch.multipart import MAX_PARTS, read_form
from tenfold.serve.refusal import Refusal

TYPE = b"multipart/form-data; boundary=B"
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)


def sent(files):
    """What httpx, which the official client uses, makes of it."""
    request = httpx.Request("POST", "http://h/", files=files)
    return request.headers["content-type"].encode(), request.read()


@given(
    st.lists(st.tuples(NAMES, st.none() | NAMES, st.binary(max_size=200)), min_size=1, max_size=6)
)
def test_what_httpx_writes_is_read_as_it_was_meant(parts):
    files = [(name, (filename, content)) for name, filename, content in parts]
    found = read_form(*sent(files))
    assert [(one.name, one.filename, bytes(one.content)) for one in found] == parts


@given(
    st.lists(
        st.sampled_from(
            [b"--B", b"--", b"\r\n", b"\r", b"\n", b'Content-Disposition: form-data; name="a"', b'; filename="', b'"',
             b"\\", b"name=b", b"Content-Transfer-Encoding: base64", b"x", b"\xff", b": ", b";", b"\0"]
        ),
        max_size=30,
    ).map(b"".join)
    | st.binary(max_size=100)
)  # fmt: skip
def test_any_bytes_are_read_or_refused(body):
    for whole in (
        body,
        b'--B\r\nContent-Disposition: form-data; name="a"' + body,
        b"--B" + body + b"\r\n--B--",
    ):
        try:
            parts = read_form(TYPE, whole)
        except Refusal:
            continue
        assert all(bytes(part.content) in whole for part in parts)


@pytest.mark.parametrize(
    "told",
    [None, b"", b"application/json", b"multipart/mixed; boundary=B", b"multipart/form-data", b"multipart/form-data; boundary=",
     b'multipart/form-data; boundary="' + b"B" * 71 + b'"', b"multipart/form-data; boundary=B B", b"multipart/form-data; " * 3000],
)  # fmt: skip
def test_another_type_of_body(told):
    with pytest.raises(Refusal) as caught:
        read_form(told, b"--B--")
    assert caught.value.status == 415


A = b'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"preamble\r\n--B\r\n" + A + b"\r\n\r\nx\r\n--B--",
        b"--B\r\n" + A + b"\r\n\r\nx\r\n--B",
        b"--B\r\n" + A + b"\r\n\r\nx",
        b"--B\r\n" + A + b"\r\n\r\nx\r\n--B--\r\nepilogue",
        b"--B\n" + A + b"\n\nx\n--B--",
        b"--B\r\n\r\n\r\nx\r\n--B--",
        b"--B\r\n" + A + b"\r\n" + A + b"\r\n\r\nx\r\n--B--",
        b"--B\r\n" + A + b'; name="b"\r\n\r\nx\r\n--B--',
        b"--B\r\n" + A + b"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--B--",
        b"--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--B--",
        b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--",
        b'--B\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--B--',
        b"--B\r\n" + A + b"\r\nx-long: " + b"y" * 5000 + b"\r\n\r\nx\r\n--B--",
        b"--B" + (b"\r\n" + A + b"\r\n\r\nx\r\n--B") * (MAX_PARTS + 1) + b"--",
    ],
)
def test_a_body_that_two_readers_could_understand_in_two_ways(body):
    with pytest.raises(Refusal) as caught:
        read_form(TYPE, body)
    assert caught.value.status == 400
