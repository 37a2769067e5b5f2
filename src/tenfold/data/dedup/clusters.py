"""From pairs to clusters, and from clusters to what stays. Knows ranks, not documents.

Clusters are connected components by union-find (Tarjan 1975). Partitions are merged through forests: a
partition's pairs shrink to at most one for each document, and the forests' union has the components of
all pairs, whatever the partitions were.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np


@numba.njit(cache=True)
def _root(parent, node):  # type: ignore[no-untyped-def]
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True)
def _join(parent, left, right):  # type: ignore[no-untyped-def]
    for pair in range(left.size):
        a, b = _root(parent, left[pair]), _root(parent, right[pair])
        # The smaller one is the root, so that a component's name does not depend on the order of pairs.
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b
    for node in range(parent.size):
        parent[node] = _root(parent, node)


def components(left: np.ndarray, right: np.ndarray, num_nodes: int) -> np.ndarray:
    """The smallest member of each node's component, int64 (num_nodes,)."""
    parent = np.arange(num_nodes, dtype=np.int64)
    _join(parent, np.asarray(left, np.int64), np.asarray(right, np.int64))
    return parent


def forest(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of any numbers -> (root, node) pairs with the same components: one for each node that is not
    a root. What a partition hands on."""
    nodes, places = np.unique(np.concatenate((left, right)), return_inverse=True)
    parent = components(places[: len(left)], places[len(left) :], len(nodes))
    below = np.flatnonzero(parent != np.arange(len(nodes)))
    return nodes[parent[below]], nodes[below]


class Kept(NamedTuple):
    """For each rank that goes, which one stays for it."""

    twin: np.ndarray
    """int64 (num_nodes,): itself where it stays"""
    similarity: np.ndarray
    """float64 (num_nodes,): to the twin; 1 where it stays"""


@numba.njit(cache=True)
def _keep(left, right, similarity, twin, best):  # type: ignore[no-untyped-def]
    for pair in range(right.size):
        better, node = left[pair], right[pair]
        if twin[better] == better and (twin[node] == node or similarity[pair] > best[node]):
            twin[node] = better
            best[node] = similarity[pair]


def keep(left: np.ndarray, right: np.ndarray, similarity: np.ndarray, num_nodes: int) -> Kept:
    """Who stays, of verified pairs (left < right are ranks): by rank, each stays unless one that stays is
    alike; then it goes for the most alike of those (of equals, the better rank).

    So of a verified pair one goes always, and nobody goes for one that went or that it is not like: a chain
    of small changes is not pulled together to its first link."""
    order = np.lexsort((left, right))
    twin = np.arange(num_nodes, dtype=np.int64)
    best = np.ones(num_nodes)
    _keep(left[order], right[order], similarity[order], twin, best)
    return Kept(twin, best)
