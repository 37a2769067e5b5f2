"""Compression: the same network in fewer bytes. Nothing heavy is imported before a step runs."""

STEPS: dict[str, str] = {"compress.int8": "tenfold.compress.int8:int8"}
"""Step name -> module:function."""
