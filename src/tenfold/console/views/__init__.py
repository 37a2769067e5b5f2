"""The views: what each page reads, which of its regions live, and where it is in the navigation."""

from __future__ import annotations

from tenfold.console.views import asset, factory, models, overview, request, run, runs, traffic
from tenfold.console.views.view import View

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        overview.VIEW,
        factory.VIEW,
        runs.VIEW,
        run.VIEW,
        models.VIEW,
        traffic.VIEW,
        request.VIEW,
        asset.VIEW,
    )
}

NAVIGATION = (
    ("overview", "Overview", ""),
    ("factory", "Factory", "factory"),
    ("runs", "Runs", "runs"),
    ("models", "Models", "models"),
    ("traffic", "Traffic", "traffic"),
)
"""(section, words, path)"""

__all__ = ["NAVIGATION", "VIEWS", "View"]
