"""Retrieval: an index over records that knows whom to trust, what is fresh and what was superseded.

Searching needs numpy and usearch only. Knows neither gateway nor agents: they open an asset's folder.
"""
