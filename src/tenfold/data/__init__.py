"""Data: collecting, curating and tokenising text; the hub of records. Everything carries source and licence.

Knows assets and steps; knows nothing about training or serving. Heavy packages load inside the steps.
"""

STEPS: dict[str, str] = {
    "data.augment": "tenfold.data.augmentation:augment",
    "data.card": "tenfold.data.card:card",
    "data.collect": "tenfold.data.collect:collect",
    "data.corpus": "tenfold.data.corpus:corpus",
    "data.curate": "tenfold.data.curate:curate",
    "data.cut": "tenfold.data.cut:cut",
    "data.decontaminate": "tenfold.data.decontamination:decontaminate",
    "data.dedup": "tenfold.data.deduplicate:dedup",
    "data.diff": "tenfold.data.diff:diff",
    "data.index": "tenfold.data.index:index",
    "data.ingest": "tenfold.data.ingest:ingest",
    "data.judge": "tenfold.data.synth.judging:judge",
    "data.labels": "tenfold.data.labels:labels",
    "data.measure": "tenfold.data.measure:measure",
    "data.normalise": "tenfold.data.normalisation:normalise",
    "data.records": "tenfold.data.records:records",
    "data.refine": "tenfold.data.refine:refine",
    "data.review": "tenfold.data.review:review",
    "data.shards": "tenfold.data.shards:shards",
    "data.synthesise": "tenfold.data.synth.synthesise:synthesise",
    "data.tokenizer": "tenfold.data.tokenizer:tokenizer",
    "data.validate": "tenfold.data.tables.validate:validate",
}
"""Step name -> module:function, imported only when a factory uses it."""
