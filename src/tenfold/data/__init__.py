"""Data: collecting, curating and tokenising text; the hub of records. Everything carries source and licence.

Knows assets and steps; knows nothing about training or serving. Heavy packages load inside the steps.
"""

STEPS: dict[str, str] = {
    "data.collect": "tenfold.data.collect:collect",
    "data.curate": "tenfold.data.curate:curate",
    "data.cut": "tenfold.data.cut:cut",
    "data.dedup": "tenfold.data.deduplicate:dedup",
    "data.ingest": "tenfold.data.ingest:ingest",
    "data.labels": "tenfold.data.labels:labels",
    "data.refine": "tenfold.data.refine:refine",
    "data.review": "tenfold.data.review:review",
    "data.tokenizer": "tenfold.data.tokenizer:tokenizer",
}
"""Step name -> module:function, imported only when a factory uses it."""
