"""What one side frames the other reads, however the bytes arrive; errors arrive as themselves."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import BackendError, ConfigError, InputError, MissingExtra, UnknownName
from tenfold.serve.backends.base import Generation, Message, PromptTooLong
from tenfold.serve.engine.messages import (
    Cancel,
    Embed,
    Generate,
    error_of,
    fault_of,
    frame,
    receive,
    requests,
)

text = st.text(st.characters(exclude_categories=["Cs"]))
messages = st.one_of(
    st.builds(Cancel, st.integers(0, 2**63)),
    st.builds(Embed, st.integers(0, 2**40), st.lists(text)),
    st.builds(
        Generate,
        st.integers(0, 2**40),
        st.builds(
            Generation,
            id=text,
            model=text,
            messages=st.none() | st.tuples(st.builds(Message, text, text)),
            prompt=st.none() | text,
            seed=st.none() | st.integers(0, 2**63 - 1),
            stop=st.tuples(text, text),
        ),
    ),
)


@given(st.lists(messages, max_size=4), st.integers(1, 9))
def test_messages_survive_any_fragmentation(sent, chunk):
    stream = b"".join(map(frame, sent))
    ours, theirs = socket.socketpair()

    def write():
        with ours:
            for at in range(0, len(stream), chunk):
                ours.sendall(stream[at : at + chunk])

    writer = threading.Thread(target=write)
    writer.start()
    with theirs:
        got = []
        while (body := receive(theirs)) is not None:
            got.append(requests.decode(body))
    writer.join()
    assert got == sent


def test_a_line_that_carries_something_else_is_refused():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(BackendError, match="something else than frames"):
            receive(theirs)


@pytest.mark.parametrize(
    ("error", "arrives_as"),
    [
        (PromptTooLong(700, 512), PromptTooLong),
        (InputError("no weights", where="folder", hint="save it"), InputError),
        (UnknownName("model", "smal", ["small"]), UnknownName),
        (BackendError("full", seen=3), BackendError),
        (MissingExtra("the package 'torch' is not installed", hint="install it"), BackendError),
        (ConfigError("slots"), BackendError),
        (ZeroDivisionError("oops"), BackendError),
    ],
)
def test_errors_cross_the_line(error, arrives_as):
    arrived = error_of(fault_of(error))
    assert type(arrived) is arrives_as
    assert getattr(error, "fact", "oops") in arrived.fact
    assert arrived.hint == getattr(error, "hint", None)
    assert str(arrived).count("\n") == str(error).count("\n")
