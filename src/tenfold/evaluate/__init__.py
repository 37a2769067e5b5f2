"""Evaluate: how good a model is, with an interval, beside figures that give the number a meaning.

Knows assets, steps and networks (`tenfold.models`); knows nothing about how a model was made or served.
"""

STEPS: dict[str, str] = {
    "evaluate.compression": "tenfold.evaluate.compression:compression",
    "evaluate.language": "tenfold.evaluate.language:language",
}
"""Step name -> module:function, imported only when a factory uses it."""
