"""Data: collecting, curating and tokenising text. Every document carries its source and its licence.

Knows assets and steps; knows nothing about training or serving. Heavy packages load inside the steps.
"""

STEPS: dict[str, str] = {
    "data.collect": "tenfold.data.collect:collect",
    "data.curate": "tenfold.data.curate:curate",
    "data.judge": "tenfold.data.synth.judging:judge",
    "data.synthesise": "tenfold.data.synth.synthesise:synthesise",
    "data.tokenizer": "tenfold.data.tokenizer:tokenizer",
    "data.validate": "tenfold.data.tables.validate:validate",
}
"""Step name -> module:function, imported only when a factory uses it."""
