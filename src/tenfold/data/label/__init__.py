"""Labels: what a person should look at, what people said, how far they agree, and where a label is wrong.

Pure functions over numpy arrays, and the rules of the label log (`log`). Knows no ledger, no page and no
file; `factory.labelling` and the console's labelling page are built on it.
"""
