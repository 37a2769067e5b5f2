"""Duplicates, from the cheapest proof to the dearest: equal text, near text, similar text, the same entity.

exact hash -> MinHash bands -> exact Jaccard of the candidates -> (if wanted) cosine of character n-grams.
What goes is decided by an explicit keep rule, never by who came first, and a record goes only for one
that stays and was compared with it. `ladder` joins the rungs for what fits in memory; the rungs are plain
functions on arrays, so that stages can shuffle between them. `decontaminate` keeps evaluation sets out of
training; `linkage` finds rows of tables that are the same thing. Knows texts and rows, not files.
"""
