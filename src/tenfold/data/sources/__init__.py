"""Sources: what lies outside (files, archives, databases, web services), read as batches of records.

`connector.py` is the contract, `kinds.py` makes a connector from a factory file's mapping. What cannot be
read comes out too, with its place and a named cause. Knows records; knows no hub and no operator.
"""
