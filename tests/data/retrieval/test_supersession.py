"""Old records stay below new ones: chains, branches, circles, and any graph at all."""

from __future__ import annotations

import networkx
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.retrieval.supersession import Supersession

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25)
SCORES = st.dictionaries(st.integers(0, 9), st.floats(0.01, 1), max_size=10)


def reaches(edges, a, b):
    seen, waiting = set(), [a]
    while waiting:
        at = waiting.pop()
        for old, new in edges:
            if old == at and new not in seen:
                seen.add(new)
                waiting.append(new)
    return b in seen


def test_a_chain_is_followed_to_its_end():
    chain = Supersession([(1, 2), (2, 3), (3, 4)])
    assert chain.newest(1) == (4,)
    made = chain.applied({1: 1.0, 9: 0.5}, 0.9)
    assert made[4] > made[3] > made[2] > made[1]
    assert made[4] == 1.0
    assert made[9] == 0.5


def test_a_circle_supersedes_nobody_inside_it():
    circle = Supersession([(1, 2), (2, 1)])
    assert 1 not in circle
    assert circle.newest(1) == (1,)
    assert circle.applied({1: 1.0}, 0.9) == {1: 1.0}
    assert Supersession([(5, 5)]).applied({5: 1.0}, 0.9) == {5: 1.0}


def test_what_takes_the_place_of_one_in_a_circle_takes_that_of_all():
    circle = Supersession([(1, 2), (2, 1), (2, 3)])
    assert circle.newest(1) == circle.newest(2) == (3,)
    assert circle.applied({1: 1.0}, 0.9) == {1: 0.9, 3: 1.0}


def test_one_record_split_into_two():
    split = Supersession([(1, 2), (1, 3)])
    made = split.applied({1: 1.0, 2: 0.2}, 0.5)
    assert made == {1: 0.5, 2: 1.0, 3: 1.0}


def test_who_may_not_be_found_is_stepped_over():
    chain = Supersession([(1, 2), (2, 3)])
    assert chain.applied({1: 1.0}, 0.9, allowed=[3]) == {1: 0.9, 3: 1.0}
    assert chain.applied({1: 1.0}, 0.9, allowed=[]) == {1: 0.9}


@given(EDGES, SCORES, st.floats(0.1, 0.99))
def test_no_old_record_is_above_a_newer_one_in_any_graph(edges, scores, demote):
    made = Supersession(edges).applied(scores, demote)
    for old in made:
        for new in made:
            if reaches(edges, old, new) and not reaches(edges, new, old):
                assert made[old] < made[new]
    linked = {row for edge in edges for row in edge}
    for row, score in scores.items():
        if row not in linked:
            assert made[row] == score


@given(EDGES)
def test_successors_are_those_of_networkx_condensation(edges):
    graph = networkx.DiGraph(edge for edge in edges if edge[0] != edge[1])
    whole = networkx.condensation(graph)
    found = Supersession(edges)

    def rows(components):
        return {row for one in components for row in whole.nodes[one]["members"]}

    for row in graph:
        mine = whole.graph["mapping"][row]
        assert set(found.successors(row)) == rows(whole.successors(mine))
        ends = {one for one in networkx.descendants(whole, mine) if not whole.out_degree(one)}
        assert set(found.newest(row)) == (rows(ends) or {row})


def test_ten_thousand_versions_do_not_exhaust_the_stack():
    chain = Supersession((row, row + 1) for row in range(10_000))
    assert chain.newest(0) == (10_000,)
    assert chain.applied({0: 1.0}, 0.9999)[10_000] == 1.0
