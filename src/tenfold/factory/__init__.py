"""The composition root: a factory file or Python calls become a graph, a plan, a run and its facts.

catalogue   step names -> steps           past       what planning may ask about earlier runs
building    running a plan                judging    checks against recorded metrics
release     moving aliases                watching   triggers, again and again
serving     gateways and the front door   factory    the Factory class, which ties them together
"""

from pathlib import Path

from tenfold.factory.factory import Factory
from tenfold.factory.outcome import RunOutcome

__all__ = ["Factory", "RunOutcome", "demo_factory_path"]


def demo_factory_path() -> Path:
    """The laptop factory: inside an installed package, or in the checkout of an editable one."""
    package = Path(__file__).parents[1]
    shipped = package / "examples" / "01-laptop" / "factory.yaml"
    return shipped if shipped.exists() else package.parents[1] / "examples/01-laptop/factory.yaml"
