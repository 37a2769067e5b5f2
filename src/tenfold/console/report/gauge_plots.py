"""The plots of a report of gauges: each a title, a drawing and a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tenfold.console import figures
from tenfold.console.charts import Bar, Line, bars, histogram, line_chart, waterfall
from tenfold.console.report.plots import Plot

Content = Mapping[str, Any]


def gauge_plots(content: Content) -> list[Plot]:
    """Of one snapshot; a plot whose figures were not measured is not there."""
    tables = content["tables"]
    by_name = {each["name"]: each for each in content["figures"]}
    return [
        *_losses(tables),
        *_shares(tables),
        *_distinct(by_name),
        *_fresh(tables, by_name),
        *_spread(tables),
        *_relevant(tables),
        *_classes(tables),
        *_rates(by_name),
    ]


def difference_plots(content: Content) -> list[Plot]:
    """Of two: shares of sources and languages before and after."""
    before, after = content["tables"]
    found = []
    for what in ("source", "language"):
        old, new = (dict(each.get(f"{what}_shares", ())) for each in (before, after))
        if not (old or new):
            continue
        rows = []
        for name in list(dict.fromkeys([*old, *new]))[:8]:
            for words, side, cls in (("before", old, "s2"), ("after", new, "s1")):
                part = side.get(name, 0.0)
                rows.append(
                    Bar(
                        label=_cut(f"{name}, {words}"),
                        value=part,
                        text=figures.share(part),
                        cls=cls,
                    )
                )
        label = f"Shares of each {what}, before and after"
        found.append(
            Plot(label, bars(rows, label=label, label_width=230), "of the records looked at")
        )
    beyond = [each for each in content["figures"] if each["beyond_noise"] and each["before"]]
    rows = [
        Bar(
            label=_cut(each["name"]),
            value=abs(each["change"] / each["before"]),
            text=f"{'+' if each['change'] > 0 else '−'}{figures.share(abs(each['change'] / each['before']))}",
            cls="s1" if each["change"] > 0 else "s3",
        )
        for each in beyond
    ]  # fmt: skip
    if rows:
        found.append(
            Plot("Changes beyond noise", bars(rows, label="relative changes", label_width=250),
                 "relative to the figure before; those that were zero before stand in the table only")
        )  # fmt: skip
    return found


def _losses(tables: Content) -> Iterator[Plot]:
    losses = tables.get("losses")
    if not losses or not losses["met"]:
        return
    steps = [
        *((f"not read: {cause}", n) for cause, n in _largest(losses["quarantined"])),
        *((f"lost: {cause}", n) for cause, n in _largest(losses["lost"])),
        *((f"marked: {cause}", n) for cause, n in _largest(losses["marked"])),
    ]
    yield Plot(
        "From what was met to what is kept",
        waterfall(
            ("met", losses["met"]),
            steps,
            ("kept", losses["kept"]),
            label="records by cause of loss",
        ),
        "every record that was met: those that could not be read, those that a cut took by cause, those that"
        " are marked and leave at the next cut, and what is kept; counted, not sampled",
    )


def _largest(causes: Mapping[str, int], most: int = 9) -> list[tuple[str, int]]:
    ordered = sorted(causes.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ordered[most:])
    return ordered[:most] + ([(f"{len(ordered) - most} other causes", rest)] if rest else [])


def _shares(tables: Content) -> Iterator[Plot]:
    for what, title in (("source", "Sources"), ("language", "Languages"), ("licence", "Licences")):
        rows = [
            Bar(label=_cut(name), value=part, text=figures.share(part))
            for name, part in tables.get(f"{what}_shares", ())
        ]
        if rows:
            yield Plot(
                title, bars(rows, label=f"share by {what}"), "share of the records looked at"
            )


def _distinct(by_name: Content) -> Iterator[Plot]:
    rows = _bars(
        by_name,
        [(f"diversity.distinct_{n}", f"{n} word{'s' if n > 1 else ''}") for n in range(1, 5)],
    )
    if rows:
        yield Plot(
            "Distinct n-grams",
            bars(rows, label="share of distinct n-grams"),
            "share of n-grams that are distinct, in blocks of equally many words; of one word it is the type-token"
            " ratio; whiskers are 95 % intervals over blocks",
        )


def _fresh(tables: Content, by_name: Content) -> Iterator[Plot]:
    if curve := tables.get("older_than"):
        line = Line(name="older", xs=[x for x, _ in curve], ys=[y * 100 for _, y in curve])
        yield Plot(
            "Freshness",
            line_chart(
                [line],
                label="share older than",
                x_unit="half-lives of the source",
                y_unit="% older",
            ),
            "share of records, of sources that age and say when, that are older than so many half-lives",
        )
    if ages := tables.get("age_days"):
        line = Line(name="age", xs=[days for _, days in ages], ys=[part * 100 for part, _ in ages])
        yield Plot(
            "Ages",
            line_chart([line], label="ages", x_unit="days", y_unit="% not older"),
            "share of records with a time that are not older; "
            + _unknown(by_name.get("freshness.unknown_share")),
        )
    if years := tables.get("years"):
        classes = [(str(year), part) for year, part in years][-40:]
        yield Plot(
            "Years",
            histogram(classes, label="share by year", x_unit="year"),
            "of records with a time",
        )


def _unknown(each: Content | None) -> str:
    return f"{figures.share(each['value'])} have none" if each else ""


def _spread(tables: Content) -> Iterator[Plot]:
    if lengths := tables.get("lengths"):
        classes = [(figures.count(least), part) for least, part in lengths]
        yield Plot(
            "Lengths",
            histogram(
                classes,
                label="share by length",
                x_unit="characters, each class twice the one before",
            ),
            "each class begins with the length written below it",
        )


def _relevant(tables: Content) -> Iterator[Plot]:
    if found := tables.get("relevance"):
        parts = found["bins"]
        classes = [(figures.digits(i / len(parts), 2), part) for i, part in enumerate(parts)]
        yield Plot(
            "Relevance",
            histogram(classes, label="probability to be of the target", x_unit="calibrated probability",
                      mark_at=round(found["threshold"] * len(parts))),
            "how probable each record is to come from the target rather than from here, as many of each being shown;"
            " one half is what records get that are equally usual in both; coloured: above the threshold",
        )  # fmt: skip


def _classes(tables: Content) -> Iterator[Plot]:
    for column, found in tables.get("classes", {}).items():
        rows = [
            Bar(label=_cut(name), value=part, text=figures.share(part))
            for name, part in found["shares"]
        ]
        words = ", ".join(found["missing"][:12])
        yield Plot(
            f"Classes of {column}",
            bars(rows, label=f"share by {column}"),
            f"missing among the records looked at: {words}"
            if words
            else "none of those wanted is missing",
        )


def _rates(by_name: Content) -> Iterator[Plot]:
    kinds = sorted(n for n in by_name if n.startswith("pii.") and n != "pii.record_share")
    rows = _bars(
        by_name,
        [
            ("pii.record_share", "any kind"),
            *((n, n[4:].removesuffix("_share").replace("_", " ")) for n in kinds),
        ],
    )
    if rows:
        yield Plot("Personal data", bars(rows, label="share of records with personal data"),
                   "share of records with at least one find; `cleared`: where an operator has taken some out")  # fmt: skip
    rows = _bars(
        by_name,
        [
            ("duplicates.marked_share", "marked by data.dedup"),
            ("duplicates.exact_share", "equal to another"),
            ("errors.quarantined_share", "not readable"),
            ("errors.broken_text_share", "broken characters"),
            ("errors.repaired_share", "repaired"),
            ("errors.empty_share", "empty"),
            ("errors.missing_cell_share", "missing cells"),
            ("errors.unreadable_image_share", "broken images"),
        ],
    )
    if rows:
        yield Plot(
            "Duplicates and errors",
            bars(rows, label="duplicate and error rates"),
            "shares of records",
        )


def _bars(by_name: Content, wanted: Sequence[tuple[str, str]]) -> list[Bar]:
    return [
        Bar(
            label=_cut(words),
            value=each["value"],
            text=figures.figure(each["value"], each["unit"]),
            edges=None if each["exact"] or each["low"] is None else (each["low"], each["high"]),
        )
        for name, words in wanted
        if (each := by_name.get(name)) is not None
    ]


def _cut(name: str, most: int = 24) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]
