"""Synthetic tables and the judge that decides whether they may be used.

`trees` (sequential trees), `copula` (the baseline) and `private` (differential privacy) make rows;
`judge` compares them with real rows that no generator has seen. Knows neither files nor the hub.
"""

LEAF_ROWS = 5
"""Fewest training rows that trees take as alike, unless told otherwise."""
TREES = 20
"""Trees for each column, unless told otherwise."""
