"""Data: collecting, curating and tokenising text; the hub of records. Everything carries source and licence.

Knows assets and steps; knows nothing about training or serving. Heavy packages load inside the steps.
"""

STEPS: dict[str, str] = {
    "data.collect": "tenfold.data.collect:collect",
    "data.curate": "tenfold.data.curate:curate",
    "data.cut": "tenfold.data.cut:cut",
    "data.dedup": "tenfold.data.deduplicate:dedup",
    "data.diff": "tenfold.data.diff:diff",
    "data.ingest": "tenfold.data.ingest:ingest",
    "data.measure": "tenfold.data.measure:measure",
    "data.refine": "tenfold.data.refine:refine",
    "data.tokenizer": "tenfold.data.tokenizer:tokenizer",
}
"""Step name -> module:function, imported only when a factory uses it."""
