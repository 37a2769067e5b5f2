"""Drawings: well-formed, escaped, to scale, and laid out without nodes on top of each other."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.console.charts import (
    Bar,
    DagNode,
    Line,
    Span,
    bars,
    columns,
    dag,
    gantt,
    histogram,
    line_chart,
    sparkline,
    waterfall,
)
from tenfold.console.charts.dag import NODE_HEIGHT, NODE_WIDTH
from tenfold.console.charts.line import MAX_POINTS, smoothed, thinned
from tenfold.console.charts.scale import ticks

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "\"><script>alert('x')</script>&amp;"


def parsed(markup):
    return ET.fromstring(str(markup))


@pytest.mark.parametrize(
    "drawing",
    [
        line_chart([Line(name=HOSTILE, xs=[0, 1], ys=[1, 2])], label=HOSTILE, x_unit=HOSTILE, y_unit=HOSTILE),
        columns([0, 60], {"exact": [1, 2], "model": [0, 3]}, bucket_s=60, label=HOSTILE, y_unit=HOSTILE),
        bars([Bar(label=HOSTILE, value=1, text=HOSTILE, spread=0.2)], label=HOSTILE),
        gantt([Span(label=HOSTILE, start_s=0, wall_s=1, status="ran", href="/x?a=1&b=2")], total_s=1, label=HOSTILE),
        dag([DagNode(id=HOSTILE, name=HOSTILE, note=HOSTILE, level=0, state="fresh", href=HOSTILE)], [], label=HOSTILE),
        sparkline([1, 2, 3], label=HOSTILE),
    ],
)  # fmt: skip
def test_a_hostile_text_stays_text(drawing):
    root = parsed(drawing)
    assert root.get("aria-label") == HOSTILE if root.get("aria-label") != "" else True
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert root.get("style") is None
    assert "style=" not in str(drawing), "inline styles are refused by the content policy"


def test_nothing_to_draw_is_nothing():
    assert str(line_chart([], label="", x_unit="", y_unit="")) == ""
    assert str(columns([], {}, bucket_s=1, label="", y_unit="")) == ""
    assert str(bars([], label="")) == str(gantt([], total_s=1, label="")) == ""
    assert str(dag([], [], label="")) == str(sparkline([1], label="")) == ""


def test_bars_are_to_scale():
    root = parsed(
        bars([Bar(label="a", value=2, text="2"), Bar(label="b", value=1, text="1")], label="")
    )
    widths = [float(r.get("width")) for r in root.iter(f"{SVG}rect")]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)


def test_stacked_columns_touch_and_add_up():
    root = parsed(
        columns([0, 60], {"exact": [1, 4], "model": [3, 4]}, bucket_s=60, label="", y_unit="")
    )
    rects = list(root.iter(f"{SVG}rect"))
    low, high = rects[0], rects[1]
    assert float(high.get("y")) + float(high.get("height")) == pytest.approx(
        float(low.get("y")), abs=0.2
    )
    assert float(high.get("height")) == pytest.approx(3 * float(low.get("height")), rel=0.02)
    hover = json.loads(root.get("data-hover"))
    assert [s["values"] for s in hover["series"]] == [["1", "4"], ["3", "4"]]


def test_a_gantt_places_what_ran_after_what_it_waited_for():
    root = parsed(
        gantt(
            [
                Span(label="a", start_s=0, wall_s=4, status="ran"),
                Span(label="b", start_s=4, wall_s=1, status="ran"),
                Span(label="c", start_s=None, wall_s=0, status="skipped", note="unchanged"),
            ],
            total_s=5,
            label="",
        )
    )
    a, b = root.iter(f"{SVG}rect")
    assert float(b.get("x")) == pytest.approx(float(a.get("x")) + float(a.get("width")), abs=0.2)
    assert "skipped: unchanged" in {t.text for t in root.iter(f"{SVG}text")}


@given(st.floats(-1e9, 1e9, allow_subnormal=False), st.floats(1e-6, 1e9), st.integers(2, 10))
def test_ticks_cover_the_range_with_round_steps(low, span, target):
    high = low + span
    if not high > low or span < abs(low) * 1e-9:
        return
    found = ticks(low, high, target)
    step = found[1] - found[0]
    assert found[0] <= low + step * 1e-3
    assert found[-1] >= high - step * 1e-3
    assert len(found) <= 2.5 * target + 3
    lead = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(lead - m) for m in (1, 2, 5, 10)) < 0.2


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=2000), st.integers(3, 50))
@settings(max_examples=30)
def test_thinning_keeps_ends_and_order_and_invents_nothing(ys, limit):
    points = thinned(range(len(ys)), ys, limit)
    assert len(points) <= max(limit, 3)
    assert points[0] == (0, ys[0])
    assert points[-1] == (len(ys) - 1, ys[-1])
    assert all(ys[x] == y for x, y in points)
    assert [x for x, _ in points] == sorted({x for x, _ in points})


def test_a_long_curve_keeps_its_spike():
    ys = [1.0] * 5000
    ys[2345] = 9.0
    assert (2345, 9.0) in thinned(range(5000), ys, MAX_POINTS)


def test_smoothing_leaves_a_constant_alone():
    assert smoothed([3.0] * 50, 0.9) == pytest.approx([3.0] * 50)


def boxes(root):
    return {
        g.get("data-id"): tuple(float(g.find(f"{SVG}rect").get(k)) for k in ("x", "y"))
        for g in root.iter(f"{SVG}g")
    }


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_no_two_nodes_overlap_and_edges_run_forward(data):
    count = data.draw(st.integers(1, 14))
    levels, edges = {}, []
    for index in range(count):
        needs = data.draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        levels[index] = 1 + max((levels[n] for n in needs), default=-1)
        edges += [(str(n), str(index)) for n in needs]
    nodes = [
        DagNode(id=str(i), name=str(i), note="", level=levels[i], state="fresh") for i in levels
    ]
    root = parsed(dag(nodes, edges, label=""))
    places = boxes(root)
    assert len(places) == count
    spots = list(places.values())
    for i, (x, y) in enumerate(spots):
        for other_x, other_y in spots[i + 1 :]:
            assert abs(x - other_x) >= NODE_WIDTH or abs(y - other_y) >= NODE_HEIGHT
    drawn = [p for p in root.iter(f"{SVG}path") if p.get("class") == "edge"]
    assert len(drawn) == len(edges)
    for path in drawn:
        xs = [float(n) for n in re.findall(r"(?<=M)[\d.]+", path.get("d"))]
        assert xs[0] == pytest.approx(places[path.get("data-from")][0] + NODE_WIDTH, abs=0.2)


def test_a_crossing_that_can_be_avoided_is():
    nodes = [DagNode(id=i, name=i, note="", level=v, state="fresh")
             for i, v in (("a", 0), ("b", 0), ("c", 1), ("d", 1))]  # fmt: skip
    places = boxes(parsed(dag(nodes, [("a", "d"), ("b", "c")], label="")))
    assert (places["a"][1] < places["b"][1]) == (places["d"][1] < places["c"][1])


def test_a_waterfall_ends_where_losses_leave_off():
    drawn = waterfall(("met", 100), [("<b>", 30), ("few", 10)], ("kept", 60), label="losses")
    bars = [
        tuple(float(re.search(f' {name}="([^"]*)"', each)[1]) for name in ("x", "width"))
        for each in re.findall(r"<rect[^>]*>", drawn)
    ]
    (left, whole), first, second, (start, kept) = bars
    assert start == left
    assert first[0] + first[1] == pytest.approx(left + whole, abs=0.2), (
        "the first loss is at the end"
    )
    assert second[0] + second[1] == pytest.approx(first[0], abs=0.2)
    assert second[0] == pytest.approx(left + kept, abs=0.2), "what is left is what is kept"
    assert "<b>" not in drawn


def test_a_histogram_and_bars_with_unequal_whiskers():
    drawn = histogram([("a", 0.5), ("b", 0.0), ("c", 0.25)], label="x", x_unit="y", mark_at=2)
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"', drawn)]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert "bar s2" in drawn
    assert "bar s1" in drawn
    row = Bar(label="none seen", value=0.0, text="0 %", edges=(0.0, 0.4))
    other = Bar(label="some", value=0.8, text="80 %")
    low, high = re.search(r'd="M([\d.]+) [\d.]+H([\d.]+)', bars([row, other], label="x")).groups()
    width = float(re.findall(r'<rect[^>]* width="([\d.]+)"', bars([row, other], label="x"))[1])
    assert float(high) - float(low) == pytest.approx(width / 2, abs=0.2)
