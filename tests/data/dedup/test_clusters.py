"""Clusters are SciPy's connected components, however the pairs were cut up; who stays is decided by rank."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import scipy.sparse as sp
from hypothesis import given
from scipy.sparse.csgraph import connected_components

from tenfold.data.dedup.clusters import components, forest, keep

EDGES = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60)


def ends(edges):
    pairs = np.array([edge for edge in edges if edge[0] != edge[1]], np.int64).reshape(-1, 2)
    pairs.sort(1)
    return pairs[:, 0], pairs[:, 1]


def scipy_components(left, right, num_nodes):
    graph = sp.coo_matrix((np.ones(len(left)), (left, right)), (num_nodes, num_nodes))
    _, labels = connected_components(graph, directed=False)
    smallest = np.array([np.flatnonzero(labels == label)[0] for label in labels])
    return smallest.tolist()


@given(EDGES)
def test_components_are_those_of_scipy(edges):
    left, right = ends(edges)
    assert components(left, right, 30).tolist() == scipy_components(left, right, 30)


@given(EDGES, st.integers(1, 7), st.randoms(use_true_random=False))
def test_partitions_merge_to_the_same_whole(edges, num_partitions, chance):
    left, right = ends(edges)
    share = np.array([chance.randrange(num_partitions) for _ in left], int)
    # Document numbers of a real corpus are large and full of holes.
    numbers = np.array(sorted(chance.sample(range(10**15), 30)), np.int64)
    forests = [
        forest(numbers[left[share == p]], numbers[right[share == p]]) for p in range(num_partitions)
    ]
    chance.shuffle(forests)
    roots, nodes = forest(
        np.concatenate([f[0] for f in forests]), np.concatenate([f[1] for f in forests])
    )
    found = numbers.copy()
    found[np.searchsorted(numbers, nodes)] = roots
    assert found.tolist() == numbers[scipy_components(left, right, 30)].tolist()
    for part_roots, part_nodes in forests:
        assert len(set(part_nodes.tolist())) == len(part_nodes) < 30
        assert (part_roots < part_nodes).all()


@given(EDGES, st.randoms(use_true_random=False))
def test_of_each_pair_one_goes_and_each_goes_for_one_that_stays(edges, chance):
    left, right = ends(sorted(set(edges)))
    pairs = sorted(set(zip(left.tolist(), right.tolist(), strict=True)))
    left, right = ends(pairs)
    similarity = np.array([chance.random() for _ in left])
    kept = keep(left, right, similarity, 30)
    stays = kept.twin == np.arange(30)
    assert not (stays[left] & stays[right]).any()
    between = dict(zip(pairs, similarity.tolist(), strict=True))
    for node in np.flatnonzero(~stays).tolist():
        twin = int(kept.twin[node])
        assert twin < node
        assert stays[twin]
        rivals = [between[pair] for pair in pairs if pair[1] == node and stays[pair[0]]]
        assert kept.similarity[node] == between[twin, node] == max(rivals)
    mixed = np.random.default_rng(chance.randrange(99)).permutation(len(left))
    again = keep(left[mixed], right[mixed], similarity[mixed], 30)
    assert (again.twin == kept.twin).all()


def test_a_chain_is_not_pulled_together_to_its_first_link():
    chain = np.arange(9)
    kept = keep(chain, chain + 1, np.full(9, 0.9), 10)
    assert kept.twin.tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]
    assert len(set(components(chain, chain + 1, 10).tolist())) == 1
