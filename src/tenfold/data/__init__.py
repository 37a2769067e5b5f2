"""Data: collecting, curating and tokenising text; the hub of records. Everything carries source and licence.

Knows assets and steps; knows nothing about training or serving. Heavy packages load inside the steps.
"""

STEPS: dict[str, str] = {
    "data.augment": "tenfold.data.augmentation:augment",
    "data.collect": "tenfold.data.collect:collect",
    "data.curate": "tenfold.data.curate:curate",
    "data.cut": "tenfold.data.cut:cut",
    "data.decontaminate": "tenfold.data.decontamination:decontaminate",
    "data.dedup": "tenfold.data.deduplicate:dedup",
    "data.index": "tenfold.data.index:index",
    "data.ingest": "tenfold.data.ingest:ingest",
    "data.judge": "tenfold.data.synth.judging:judge",
    "data.normalise": "tenfold.data.normalisation:normalise",
    "data.refine": "tenfold.data.refine:refine",
    "data.synthesise": "tenfold.data.synth.synthesise:synthesise",
    "data.tokenizer": "tenfold.data.tokenizer:tokenizer",
    "data.validate": "tenfold.data.tables.validate:validate",
}
"""Step name -> module:function, imported only when a factory uses it."""
