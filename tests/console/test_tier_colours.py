"""Every tier that traffic knows has a colour of its own on the page."""

from __future__ import annotations

import re
from pathlib import Path

import tenfold.console
from tenfold.queries.traffic import TIERS

STATIC = Path(tenfold.console.__file__).parent / "static"


def test_every_tier_has_a_mark_of_its_own():
    colours = dict(re.findall(r"--t-(\w+): ([^;]+);", (STATIC / "tokens.css").read_text()))
    marks = dict(
        re.findall(r"\.t-(\w+) \{ --mark: var\(--t-(\w+)\)", (STATIC / "charts.css").read_text())
    )
    assert set(colours) == set(TIERS)
    assert len(set(colours.values())) == len(TIERS)
    assert marks == {tier: tier for tier in TIERS}
