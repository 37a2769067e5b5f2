"""Reading along: the quick look at a stream's first event knows what decoding it knows."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.protocols.watch import ChatWatch

FIRST = st.fixed_dictionaries(
    {"id": st.text(max_size=12), "choices": st.just([{"index": 0, "delta": {"content": ""}}])},
    optional={
        "usage": st.just({"prompt_tokens": 3, "completion_tokens": 1}),
        "error": st.just({"message": "no"}),
    },
)
LAST = {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def event(plain, spaced: bool) -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    return b"data: " + json.dumps(plain, separators=separators).encode() + b"\n\n"


@given(first=FIRST, spaced=st.booleans(), together=st.booleans())
def test_the_first_event_tells_its_id_however_it_is_read(first, spaced, together):
    watch = ChatWatch()
    end = event(LAST, spaced) + b"data: [DONE]\n\n"
    for part in [event(first, spaced) + end] if together else [event(first, spaced), end]:
        watch.events(part)
    # Without an id of its own an answer may take a later event's.
    assert watch.outcome.response_id in ({first["id"]} if first["id"] else {"", "x"})
    assert watch.outcome.complete
    assert watch.outcome.finish_reasons == ("stop",)
    assert (watch.outcome.usage is not None) == ("usage" in first)
    assert watch.outcome.refused == ("error" in first)
