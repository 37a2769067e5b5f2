"""Metric curves as line charts, one per metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from tenfold.console.charts import Line, line_chart
from tenfold.queries.runs import Curve

SMOOTHING = 0.7
"""Weight of the past; the raw values stay visible behind it."""
FEW = 24
"""Points below which smoothing would hide more than it shows."""


class CurveChart(NamedTuple):
    name: str
    asset: str
    last: float
    unit: str
    chart: Markup


def curve_charts(curves: Sequence[Curve]) -> list[CurveChart]:
    """Loss first: it is what people look for. A single chart has the width of the page."""
    width = 960 if len(curves) == 1 else 560
    ordered = sorted(curves, key=lambda curve: ("loss" not in curve.name, curve.asset, curve.name))
    return [
        CurveChart(
            curve.name,
            curve.asset,
            curve.values[-1],
            curve.unit,
            line_chart(
                [
                    Line(
                        name=curve.name,
                        xs=curve.steps,
                        ys=curve.values,
                        cls="s1",
                        smooth=SMOOTHING if len(curve.steps) >= FEW else 0.0,
                    )
                ],
                label=f"{curve.name} of {curve.asset} over {len(curve.steps)} points",
                x_unit="step",
                y_unit=curve.unit or curve.name,
                width=width,
            ),
        )
        for curve in ordered
        if curve.values
    ]
