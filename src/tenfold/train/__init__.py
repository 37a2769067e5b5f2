"""Training: one loop, recipes for what it trains. Nothing heavy is imported before a step runs."""

STEPS: dict[str, str] = {"train.pretrain": "tenfold.train.pretrain:pretrain"}
"""Step name -> module:function."""
