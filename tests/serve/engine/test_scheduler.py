"""Requests join, leave and are charged for what they took; their texts are theirs alone."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tenfold.models.folder import load_model  # noqa: E402
from tenfold.serve.engine.messages import Cancel, Embed  # noqa: E402

prompts = [
    "user: what is",
    "The class",
    "你好",
    "E",
    "Ein Stück Kuchen, " * 6,
    "a generator of course 🙂",
]
asked = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(prompts),
        "max_tokens": st.integers(1, 40),
        "temperature": st.sampled_from([0.0, 0.0, 0.8, 1.5]),
        "top_p": st.sampled_from([1.0, 0.6]),
        "seed": st.integers(0, 3),
        "stop": st.sampled_from([(), ("e",), ("th", " a")]),
    }
)


def alone(bench, request, memory={}) -> tuple[str, str, int]:  # noqa: B006  (a memo on purpose)
    key = tuple(request.items())
    if key not in memory:
        bench.reset()
        bench.ask(1, **request)
        bench.run()
        last = bench.last[1]
        memory[key] = bench.texts[1], last.finish_reason, last.usage.completion_tokens
    return memory[key]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(asked, st.integers(0, 30), st.none() | st.integers(0, 30)),
        min_size=1,
        max_size=9,
    )
)
def test_any_company_leaves_every_text_as_it_is_alone(shared_bench, plan):
    """Requests arrive at any step, more of them than there are slots, and some are cancelled."""
    bench = shared_bench
    wanted = [alone(bench, request) for request, _, _ in plan]
    bench.reset()
    arrivals, cancels = {}, {}
    for id, (request, arrives, lives) in enumerate(plan):
        arrivals.setdefault(arrives, []).append((id, request))
        if lives is not None:
            cancels.setdefault(arrives + lives, []).append(id)
    for now in itertools.count():
        for id, request in arrivals.pop(now, []):
            bench.ask(id, **request)
        for id in cancels.pop(now, []):
            bench.handle(Cancel(id))
        bench.step()
        if not arrivals and not cancels and bench.scheduler.idle:
            break
    assert not bench.failed
    assert bench.last.keys() == set(range(len(plan)))
    for id, (text, reason, num_tokens) in enumerate(wanted):
        last = bench.last[id]
        if last.finish_reason == "cancelled":
            assert text.startswith(bench.texts[id])
        else:
            assert (bench.texts[id], last.finish_reason) == (text, reason)
            assert last.usage.completion_tokens == num_tokens


class Ticks:
    """A clock that moves a different, exactly representable, amount at every look."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        self.now += (self.looks * 37 % 11 + 1) / 1024
        return self.now


def test_shares_of_compute_add_up_to_busy_time(make_bench):
    ticks = Ticks()
    bench = make_bench(clock=ticks)
    for round_ in range(3):
        base = 100 * round_
        for id in range(6):
            bench.ask(base + id, prompt=prompts[id], max_tokens=5 + 4 * id)
        bench.handle(Embed(base + 50, ["The class", "E"]))
        bench.step()
        bench.scheduler.meter.pause()
        ticks.now += 1000.0  # waiting for a slow reader is nobody's time
        bench.step()
        bench.handle(Cancel(base + 2))
        bench.run()
        ticks.now += 1000.0  # nor is having nothing to do
    shares = [last.compute_s for last in bench.last.values()]
    shares += [reply.compute_s for reply in bench.embedded.values()]
    assert len(shares) == 21
    assert all(share > 0 for share in shares)
    assert sum(shares) == pytest.approx(bench.scheduler.meter.busy_s, rel=1e-12)
    assert 0 < bench.scheduler.meter.busy_s < 1000.0


def test_rows_decode_together_and_late_ones_join(bench):
    bench.ask(1, prompt="The class", max_tokens=30, temperature=2.0, seed=5)
    for _ in range(5):
        bench.step()
    bench.ask(2, prompt="The class", max_tokens=30, temperature=2.0, seed=6)
    bench.run()
    num_tokens = [bench.last[id].usage.completion_tokens for id in (1, 2)]
    assert len(bench.steps) <= 5 + max(num_tokens)  # one after the other would take the sum
    assert min(num_tokens) > 6


def test_a_cancelled_row_gives_its_slot_to_the_next_in_line_at_once(bench):
    for id in range(5):  # one more than there are slots
        bench.ask(id, prompt="The class", max_tokens=60, temperature=1.5, seed=id)
    for _ in range(4):
        bench.step()
    assert not bench.texts[4]
    assert not bench.last
    bench.handle(Cancel(1))
    bench.step()
    assert bench.last[1].finish_reason == "cancelled"
    assert bench.last[1].usage.completion_tokens >= 4
    bench.run()
    assert bench.last[4].usage.completion_tokens > 0
    assert sorted(bench.last) == [0, 1, 2, 3, 4]


def test_a_request_cancelled_while_it_waits_never_runs(bench):
    for id in range(5):
        bench.ask(id, prompt="The class", max_tokens=8)
    bench.step()
    bench.handle(Cancel(4))
    bench.handle(Cancel(4))  # twice, and one that never was: no fault
    bench.handle(Cancel(99))
    bench.run()
    assert bench.last[4].finish_reason == "cancelled"
    assert bench.last[4].usage.completion_tokens == 0
    assert not bench.failed


def test_the_queue_is_bounded(make_bench):
    bench = make_bench(num_slots=2, max_waiting=3)
    for id in range(7):
        bench.ask(id, prompt="E", max_tokens=4)
    bench.run()
    assert sorted(bench.last) == [0, 1, 2, 3, 4]
    assert sorted(bench.failed) == [5, 6]
    assert "queue is full" in bench.failed[5].fact
    bench.ask(8, prompt="E", max_tokens=4)
    bench.run()
    assert 8 in bench.last


def test_answers_end_with_the_context_and_prompts_that_fill_it_are_refused(bench):
    context = bench.network.context_tokens
    bench.ask(1, prompt="E" * (context - 10), max_tokens=None, temperature=1.0, seed=1)
    bench.ask(2, prompt="E" * (context - 1), max_tokens=50)
    bench.ask(3, prompt="E" * context)
    bench.ask(4, prompt="E", max_tokens=0)
    bench.run()
    for id, num_tokens in ((1, 10), (2, 1), (4, 0)):
        assert bench.last[id].finish_reason == "length"
        assert bench.last[id].usage.completion_tokens == num_tokens
    fault = bench.failed[3]
    assert (fault.kind, fault.num_tokens, fault.limit_tokens) == ("PromptTooLong", context, context)


def test_long_prompts_take_turns_with_running_rows(make_bench):
    bench = make_bench(prefill_tokens=50)
    bench.ask(0, prompt="E", max_tokens=20, temperature=2.0, seed=2)
    for id in (1, 2, 3):
        bench.ask(id, prompt="E" * 60, max_tokens=20, temperature=2.0, seed=id)
    bench.run()
    starts = [next(i for i, step in enumerate(bench.steps) if id in step) for id in (1, 2, 3)]
    assert starts == sorted(set(starts)), "at most one long prompt a step"
    assert all(0 in bench.steps[i] for i in range(starts[0], starts[-1]))


def test_a_fault_of_one_request_is_not_the_others(bench):
    bench.ask(1, prompt="The class")
    bench.ask(2, prompt="x" * 10_000)
    bench.handle(Embed(3, []))
    bench.handle(Embed(4, ["fine", "x" * 10_000]))
    bench.run()
    assert sorted(bench.failed) == [2, 3, 4]
    assert sorted(bench.last) == [1]


def test_embeddings_are_transformers_mean_hidden_states(bench, model_folder):
    transformers = pytest.importorskip("transformers")
    texts = ["The class statement", "你好，世界", "E"]
    bench.handle(Embed(1, texts))
    bench.run()
    theirs = transformers.AutoModel.from_pretrained(model_folder)
    tokenizer = load_model(model_folder).tokenizer
    num_tokens = 0
    for text, vector in zip(texts, bench.embedded[1].vectors, strict=True):
        ids = tokenizer.encode(text).ids
        num_tokens += len(ids)
        with torch.no_grad():
            mean = theirs(torch.tensor([ids])).last_hidden_state[0].mean(0)
        torch.testing.assert_close(torch.tensor(vector), mean / mean.norm(), rtol=1e-4, atol=1e-5)
    assert bench.embedded[1].prompt_tokens == num_tokens
