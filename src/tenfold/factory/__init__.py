"""The composition root: a factory file or Python calls become a graph, a plan, a run and its facts.

catalogue   step names -> steps           past       what planning may ask about earlier runs
building    running a plan                judging    checks against recorded metrics
release     moving aliases                watching   triggers, again and again
serving     gateways and the front door   factory    the Factory class, which ties them together
"""

from tenfold.factory.factory import Factory, RunOutcome

__all__ = ["Factory", "RunOutcome"]
