"""Neighbours do not change a row's logits by a single bit, and where they would it is noticed."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tenfold.models.folder import load_model  # noqa: E402
from tenfold.serve.engine.exactness import settle  # noqa: E402
from tenfold.serve.engine.network import LlamaNetwork  # noqa: E402


@pytest.fixture(scope="module")
def network(model_folder):
    network = LlamaNetwork(load_model(model_folder).model, 11)
    settle(network)
    return network


def logits_of(network, ids, company, place, more=4):
    """Logits of a sequence's next tokens, decoded at `place` among others."""
    rows = list(company)
    rows.insert(place, ids)
    for slot, row in enumerate(rows):
        network.prefill(slot, row)
    got = []
    for step in range(more):
        got.append(network.decode([(7 * step + slot - place) % 300 for slot in range(len(rows))]))
    for slot in range(len(rows)):
        network.free(slot)
    return torch.stack([logits[place] for logits in got])


sequence = st.lists(st.integers(0, 319), min_size=1, max_size=120)


@settings(max_examples=60, deadline=None)
@given(ids=sequence, company=st.lists(sequence, max_size=10), data=st.data())
@torch.inference_mode()
def test_logits_are_bit_equal_whatever_the_company(network, ids, company, data):
    place = data.draw(st.integers(0, len(company)))
    assert network.exact
    assert torch.equal(logits_of(network, ids, [], 0), logits_of(network, ids, company, place))


def test_a_settled_network_is_empty_and_uses_few_rows_when_few_run(network):
    assert set(network.cache.lengths) == {0}
    assert network.rungs[0] < network.rungs[-1] == 12
    assert network.block < network.cache.width


@torch.inference_mode()
def test_decoding_agrees_with_reading_the_whole_text_at_once(network):
    ids = [5, 17, 200, 3, 42, 42, 9]
    network.prefill(0, ids[:3])
    steps = [network.decode([token])[0] for token in ids[3:]]
    network.free(0)
    whole = network.model(torch.tensor([ids]))[0, 3:]
    torch.testing.assert_close(torch.stack(steps), whole, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_a_moved_sequence_goes_on_where_it_was(network):
    network.prefill(0, [1, 2, 3])
    stayed = network.decode([9])[0]
    network.free(0)
    network.prefill(0, [4, 4])
    network.prefill(1, [1, 2, 3])
    network.move(1, 0)
    assert torch.equal(network.decode([9])[0], stayed)
    network.free(0)


@pytest.mark.parametrize(
    ("fault", "exact"),
    [("by place", False), ("by rows", True), ("by width", True)],
)
@torch.inference_mode()
def test_shapes_that_change_the_last_bit_are_not_used(model_folder, fault, exact):
    """A machine whose kernels add up differently by shape, in the last bit only."""
    network = LlamaNetwork(load_model(model_folder).model, 12)
    decode = network.model.decode

    def unsteady(cache, slots, ids, width):
        logits = decode(cache, slots, ids, width)
        if fault == "by place":
            logits[1::2] = logits[1::2].nextafter(torch.tensor(torch.inf))
        elif (fault == "by rows" and len(slots) == 4) or (fault == "by width" and width == 64):
            logits = logits.nextafter(torch.tensor(torch.inf))
        return logits

    network.model.decode = unsteady
    settle(network)
    assert network.exact is exact
    if fault == "by rows":
        assert network.rungs == (8, 12)
    if fault == "by width":
        assert network.block == 128
