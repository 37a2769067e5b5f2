"""Charts as SVG: pure functions from numbers to markup with CSS classes, no colours and no scripts inside.

The page's style sheet gives the colours; `charts.js` reads `data-hover` for cross-hair and values, and
without it every mark still has its title. The console and the report use the same functions.
"""

from __future__ import annotations

from tenfold.console.charts.bars import Bar, bars
from tenfold.console.charts.columns import columns
from tenfold.console.charts.dag import DagNode, dag
from tenfold.console.charts.gantt import Span, gantt
from tenfold.console.charts.histogram import histogram
from tenfold.console.charts.line import Line, line_chart
from tenfold.console.charts.sparkline import sparkline
from tenfold.console.charts.waterfall import waterfall

__all__ = [
    "Bar",
    "DagNode",
    "Line",
    "Span",
    "bars",
    "columns",
    "dag",
    "gantt",
    "histogram",
    "line_chart",
    "sparkline",
    "waterfall",
]
