"""Order, selection, and every fault of a graph before anything runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.graph import Graph, Node, find_cycle, topological
from tenfold.errors import GraphError, UnknownName

Make = Callable[..., Node]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Any acyclic needs, declared in any order."""
    names = [f"n{i}" for i in range(draw(st.integers(0, 12)))]
    needs = {
        name: tuple(draw(st.lists(st.sampled_from(names[:i]), max_size=4)) if i else ())
        for i, name in enumerate(names)
    }
    return {name: needs[name] for name in draw(st.permutations(names))}


@given(acyclic())
def test_everything_comes_once_and_after_what_it_needs(needs: dict[str, tuple[str, ...]]) -> None:
    order = topological(needs)
    assert sorted(order) == sorted(needs)
    for name in order:
        assert all(order.index(need) < order.index(name) for need in needs[name])
    assert find_cycle(needs) == []


@given(acyclic(), st.data())
def test_a_back_edge_makes_a_cycle_that_is_found(
    needs: dict[str, tuple[str, ...]], data: st.DataObject
) -> None:
    chosen = [name for name in needs if needs[name]]
    if not chosen:
        return
    user = data.draw(st.sampled_from(chosen))
    source = data.draw(st.sampled_from(needs[user]))
    cycle = find_cycle({**needs, source: (*needs[source], user)})
    assert cycle
    assert len(set(cycle)) == len(cycle)
    edges = {**needs, source: (*needs[source], user)}
    for name, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        assert following in edges[name]


@given(acyclic())
def test_selection_is_closed_and_in_order(needs: dict[str, tuple[str, ...]]) -> None:
    from tenfold.core.step import step

    @step(version="1")
    def any_step(*inputs: object) -> None: ...

    graph = Graph(Node(name=name, step=any_step, needs=wanted) for name, wanted in needs.items())
    for target in needs:
        chosen = graph.select([target])
        assert chosen == tuple(name for name in graph.order if name in chosen)
        assert all(need in chosen for name in chosen for need in needs[name])
        assert {n for n in needs if target in graph.select([n])} == {
            target,
            *graph.downstream(target),
        }


def test_faults_are_told_all_at_once_with_their_places(make_node: Make) -> None:
    with pytest.raises(GraphError) as caught:
        Graph(
            [
                make_node("corpus", "documnets", where="factory.yaml:4:3"),
                make_node("documents"),
                make_node("model", "tokeniser", where="factory.yaml:9:3"),
            ]
        )
    first, second = str(caught.value).splitlines()
    assert first.startswith("factory.yaml:4:3: ")
    assert 'did you mean "documents"?' in first
    assert second.startswith("factory.yaml:9:3: ")
    assert "'tokeniser'" in second


def test_a_cycle_is_told_with_the_way_round(make_node: Make) -> None:
    with pytest.raises(GraphError, match=r"a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c"):
        Graph([make_node("a", "b"), make_node("b", "c"), make_node("c", "a"), make_node("d", "a")])
    with pytest.raises(GraphError, match="a -> a"):
        Graph([make_node("a", "a")])


def test_kinds_must_fit(make_node: Make) -> None:
    corpus = make_node("corpus", output="corpus", variadic=None)
    takes = {"inputs": {"corpus": "corpus", "tokenizer": "tokenizer"}, "variadic": None}
    with pytest.raises(GraphError, match=r"takes 2 inputs \(corpus \(corpus\), tokenizer"):
        Graph([corpus, make_node("m", "corpus", **takes)])
    with pytest.raises(GraphError, match="tokenizer must be a tokenizer, but 'corpus' is a corpus"):
        Graph([corpus, make_node("m", "corpus", "corpus", **takes)])
    Graph([make_node("any"), make_node("m", "any", "any", **takes)])  # an untyped step fits


def test_two_assets_of_one_name(make_node: Make) -> None:
    with pytest.raises(GraphError, match="defined twice"):
        Graph([make_node("a"), make_node("a")])


def test_unknown_names_suggest(make_node: Make) -> None:
    with pytest.raises(UnknownName, match='did you mean "corpus"'):
        Graph([make_node("corpus")]).select(["corpsu"])


def test_long_chains_do_not_recurse(make_node: Make) -> None:
    chain = [make_node("n0"), *(make_node(f"n{i}", f"n{i - 1}") for i in range(1, 5000))]
    graph = Graph(reversed(chain))
    assert graph.order[0] == "n0"
    assert len(graph.select(["n4999"])) == 5000
    assert len(graph.downstream("n0")) == 4999


def test_an_empty_graph_is_a_graph() -> None:
    graph = Graph([])
    assert len(graph) == 0
    assert graph.select() == ()


def test_a_seed_is_not_a_setting_called_seed(make_node: Make) -> None:
    assert make_node("a", config={"seed": 3}).identity != make_node("a", config={}, seed=3).identity
    assert (
        make_node("a", config={"seed": 3}, seed=3).identity
        != make_node("a", config={"seed": 3}).identity
    )
