"""Curation of text: repair, language, quality rules and learned quality, as operators over record batches.

What runs per byte is compiled by numba over Arrow's own buffers; nothing here loops over documents in
Python. Knows records and operators; knows no files, no sources and no duplicates.
"""
