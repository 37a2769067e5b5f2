"""Draws follow the distribution, and a row's draw is its own affair."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tenfold.serve.engine.sampler import sample, uniform  # noqa: E402

seeds = st.integers(0, 2**63 - 1)


def draw(logits, temperature, top_p, seed, step):
    return sample(
        logits,
        torch.tensor(temperature),
        torch.tensor(top_p),
        torch.tensor(seed),
        torch.tensor(step),
    )


rows = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        st.sampled_from([0.0, 0.3, 0.9, 1.0]),
        seeds,
        st.integers(0, 500),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 100))
def test_a_row_draws_alone_what_it_draws_in_company(rows, noise):
    logits = torch.randn(len(rows), 50, generator=torch.Generator().manual_seed(noise))
    together = draw(logits, *map(list, zip(*rows, strict=True)))
    for index, row in enumerate(rows):
        alone = draw(logits[index : index + 1], *([value] for value in row))
        assert alone[0] == together[index]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.7), (1.5, 0.4)])
def test_frequencies_are_those_of_transformers_own_distribution(temperature, top_p):
    warpers = pytest.importorskip("transformers.generation.logits_process")
    logits = torch.tensor([[2.0, 1.0, 0.5, 0.0, -1.0, -3.0]])
    kept = warpers.TemperatureLogitsWarper(temperature)(None, logits)
    if top_p < 1:
        kept = warpers.TopPLogitsWarper(top_p)(None, kept)
    wanted = kept.softmax(-1)[0]
    n = 40_000
    got = draw(logits.expand(n, -1), [temperature] * n, [top_p] * n, list(range(n)), [3] * n)
    shares = torch.bincount(got, minlength=6) / n
    assert (shares[wanted == 0] == 0).all()
    deviation = (wanted * (1 - wanted) / n).sqrt()
    assert ((shares - wanted).abs() <= 4.5 * deviation + 1e-9).all(), (shares, wanted)


def test_cold_rows_take_the_likeliest():
    logits = torch.randn(5, 30)
    n = [0.0] * 5
    assert torch.equal(draw(logits, n, [1.0] * 5, [1] * 5, [0] * 5), logits.argmax(-1))
    assert torch.equal(draw(logits, [1.0] * 5, n, [1] * 5, [0] * 5), logits.argmax(-1))


def test_numbers_are_uniform_along_seeds_and_along_steps():
    n = 20_000
    one, many = torch.zeros(n, dtype=torch.int64), torch.arange(n)
    for numbers in (uniform(one, many), uniform(many, one), uniform(many, many)):
        assert (numbers >= 0).all()
        assert (numbers < 1).all()
        counts = torch.bincount((numbers * 20).long(), minlength=20).double()
        chi_square = ((counts - n / 20) ** 2 / (n / 20)).sum()
        assert chi_square < 50  # 19 degrees of freedom: p < 0.0002
    assert uniform(many, many).unique().numel() == n
