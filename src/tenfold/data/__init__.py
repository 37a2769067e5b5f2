"""Data: collecting, curating and tokenising text. Every document carries its source and its licence.

Knows assets and steps; knows nothing about training or serving. Heavy packages load inside the steps.
"""

STEPS: dict[str, str] = {
    "data.collect": "tenfold.data.collect:collect",
    "data.curate": "tenfold.data.curate:curate",
    "data.tokenizer": "tenfold.data.tokenizer:tokenizer",
}
"""Step name -> module:function, imported only when a factory uses it."""
