"""Contrast of the design tokens, computed from the style sheet as WCAG 2.2 defines it (1.4.3, 1.4.11)."""

from __future__ import annotations

import re

import pytest

from tenfold.console.pages import text_of

TEXT = ("ink", "muted", "accent", "ok", "warn", "bad")
GROUNDS = ("bg", "surface", "raised")
MARKS = ("s1", "s2", "s3", "t-edge", "t-exact", "t-template", "t-semantic", "t-student", "t-model", "t-refused")  # fmt: skip


def tokens(index):
    """Colour tokens of the light (0) or the dark (1) scheme."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", text_of("tokens.css"))
    return {name: colours[index] for name, *colours in pairs}


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_against_the_ends_of_its_scale():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )  # WebAIM's known near miss


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_is_readable_on_every_ground(scheme):
    found = tokens(scheme)
    poor = {
        (text, ground): round(contrast(found[text], found[ground]), 2)
        for text in TEXT
        for ground in GROUNDS
        if contrast(found[text], found[ground]) < 4.5
    }
    assert poor == {}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_badges_are_readable_on_their_own_ground(scheme):
    found = tokens(scheme)
    for name in ("accent", "ok", "warn", "bad"):
        assert contrast(found[name], found[f"{name}-soft"]) >= 4.5, name


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_marks_in_charts_stand_out(scheme):
    found = tokens(scheme)
    for name in MARKS:
        assert contrast(found[name], found["surface"]) >= 2.9, name


def test_every_colour_is_a_token():
    """A colour outside tokens.css would miss one of the schemes."""
    for sheet in ("charts.css", "console.css", "report.css"):
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", text_of(sheet)) == [], sheet


def test_every_variable_that_is_used_is_defined():
    sheets = [text_of(name) for name in ("tokens.css", "charts.css", "console.css", "report.css")]
    defined = set(re.findall(r"(--[\w-]+):", "".join(sheets)))
    assert set(re.findall(r"var\((--[\w-]+)", "".join(sheets))) <= defined
