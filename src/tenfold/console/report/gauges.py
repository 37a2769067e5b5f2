"""The report of a snapshot's gauges, or of two snapshots', as one HTML file that needs nothing else.

Figures come from the report asset that `data.measure` or `data.diff` made; records are shown from the snapshot
itself as long as they are there, cut short, with personal data taken out. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from tenfold.console import figures
from tenfold.console.gauges import Tile, gauge_tiles, interval_of
from tenfold.console.pages import environment, text_of
from tenfold.console.report.examples import Example, kept_ones, lost_ones
from tenfold.console.report.gauge_plots import difference_plots, gauge_plots
from tenfold.core.asset import Asset, Snapshot
from tenfold.errors import UsageError
from tenfold.queries import Queries

STYLES = ("tokens.css", "charts.css", "report.css")
SCRIPTS = ("theme.js", "charts.js")
KINDS = ("gauges", "difference")


class Family(NamedTuple):
    name: str
    rows: Sequence[Mapping[str, Any]]


def write_gauges(
    queries: Queries, asset_of: Callable[[str], Asset], name: str, path: Path | str
) -> Path:
    """Write the page of the report asset `name` to `path` and return it. Raises UsageError for an asset of
    another kind, UnknownName."""
    target, html = Path(path), render_gauges(queries, asset_of, name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the report: {error.strerror}", where=str(target)) from None
    return target


def render_gauges(queries: Queries, asset_of: Callable[[str], Asset], name: str) -> str:
    """The page as HTML. Raises UsageError, UnknownName."""
    report = asset_of(name)
    content = report.read_json("report.json") if "report.json" in report.files else {}
    if content.get("kind") not in KINDS:
        raise UsageError(
            f"{name} is no report of gauges",
            seen=content.get("kind", report.manifest.kind),
            hint="name an asset that data.measure or data.diff made",
        )
    view = queries.asset(name)
    subjects = _subjects(content, view.result.inputs, asset_of)
    subject = subjects[-1] if subjects else None
    single = content["kind"] == "gauges"
    kept: list[Example] = kept_ones(subject, content["examples"]) if single and subject else []
    return (
        environment("")
        .get_template("gauges.html")
        .render(
            name=view.result.asset,
            factory=view.result.factory,
            result=view.result,
            content=content,
            single=single,
            names=[name for name, _ in view.result.inputs],
            tiles=gauge_tiles(content["figures"]) if single else changes(content),
            families=families(content["figures"]),
            plots=gauge_plots(content) if single else difference_plots(content),
            verdicts=view.verdicts,
            sources=_sources(queries, view.digest, content) if single else [],
            kept=kept,
            lost=lost_ones(subject) if single and subject else [],
            style=Markup("\n".join(text_of(name) for name in STYLES)),
            script=Markup("\n".join(text_of(name) for name in SCRIPTS)),
            mark=Markup(text_of("favicon.svg")),
        )
    )


def changes(content: Mapping[str, Any]) -> list[Tile]:
    beyond = [each for each in content["figures"] if each["beyond_noise"]]
    shared = content["shared_share"]
    return [
        Tile("Gauges compared", figures.count(len(content["figures"])), "that both snapshots have"),
        Tile("Changed beyond noise", figures.count(len(beyond)), "by Holm's rule over all of them"),
        Tile("Records in both", figures.share(shared), "of those in either, by the samples"),
    ]


def families(found: Sequence[Mapping[str, Any]]) -> list[Family]:
    """`diversity.vendi` is of the family `diversity`; in the order measured."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for each in found:
        family, _, name = each["name"].partition(".")
        grouped.setdefault(family, []).append(
            {**each, "label": name.replace("_", " "), "interval": interval_of(each)}
        )
    return [Family(name, rows) for name, rows in grouped.items()]


def _subjects(
    content: Mapping[str, Any], inputs: Sequence[tuple[str, str]], asset_of: Callable[[str], Asset]
) -> list[Snapshot]:
    """The snapshots measured, where their names still mean them."""
    wanted = [content["snapshot"]] if "snapshot" in content else content["snapshots"]
    found = []
    for name, digest in inputs:
        if digest in wanted:
            asset = asset_of(name)
            if isinstance(asset, Snapshot) and asset.digest == digest:
                found.append(asset)
    return found


def _sources(
    queries: Queries, digest: str, content: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any], Mapping[str, float]]]:
    """(source, what the snapshot says of it, what reading it took): the last from the ledger."""
    took: dict[str, float] = {}
    for ancestor in queries.lineage(digest).ancestors:
        if ancestor.step == "data.ingest" and ancestor.key:
            took |= {each.name: each.value for each in queries.asset(ancestor.digest).metrics}
    return [
        (
            name,
            said,
            {
                clock: took[f"{name}.{clock}"]
                for clock in ("first_record_s", "records_per_s", "elapsed_s")
                if f"{name}.{clock}" in took
            },
        )
        for name, said in content["tables"].get("sources", {}).items()
    ]
