"""The data card: Markdown for people, with the YAML that Hugging Face reads on top.

Generated from facts alone, so it is as true as they are and is written again for every snapshot. Knows no ledger
and writes no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from tenfold.data.out import words
from tenfold.data.out.facts import About, Facts

FILE = "README.md"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip
"""As Hugging Face counts."""
_HUB_LICENCES = frozenset(
    [
        "apache-2.0",
        "mit",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nc-nd-4.0",
        "bsd-2-clause",
        "bsd-3-clause",
        "isc",
        "mpl-2.0",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl-3.0",
        "agpl-3.0",
        "unlicense",
        "wtfpl",
        "zlib",
        "pddl",
        "odc-by",
        "odbl",
        "gfdl",
        "artistic-2.0",
        "unknown",
        "other",
    ]
)
"""Names that Hugging Face takes; any other licence is `other` there, with its name beside it."""
_LABEL = re.compile(r"[a-z]{2,3}")


def card(facts: Facts, about: About, data_files: Mapping[str, str] | None = None) -> str:
    """`data_files`: split -> pattern of its files, where they lie beside the card."""
    front = yaml.safe_dump(
        front_matter(facts, about, data_files), sort_keys=False, allow_unicode=True
    )
    return f"---\n{front}---\n\n" + "\n".join(_body(facts, about)) + "\n"


def front_matter(
    facts: Facts, about: About, data_files: Mapping[str, str] | None = None
) -> dict[str, Any]:
    names = [licence.lower() for licence in facts.licences]
    known = [name if name in _HUB_LICENCES else "other" for name in names]
    plain: dict[str, Any] = {
        "pretty_name": about.name,
        "license": known[0] if len(known) == 1 else list(dict.fromkeys(known)),
    }
    if "other" in known:
        plain["license_name"] = ", ".join(facts.licences)
    languages = [label for label in facts.languages if _LABEL.fullmatch(label)]
    if languages:
        plain["language"] = languages
    plain["size_categories"] = [
        next((name for most, name in _SIZES if facts.records < most), "n>1T")
    ]
    plain["tags"] = ["tenfold", facts.modality]
    if data_files:
        plain["configs"] = [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": pattern} for split, pattern in data_files.items()
                ],
            }
        ]
    return plain


def _body(facts: Facts, about: About) -> Iterator[str]:
    yield from (f"# {_plain(about.name)}", "", words.description(facts, about), "")
    yield f"Snapshot `{facts.digest}`, version {about.version}."
    told = [("Creator", about.creator), ("Published", about.published), ("Page", about.url)]
    yield from (f"{what}: {value}." for what, value in told if value)
    yield from ("", "## Contents", "")
    yield from _table(
        ("what", "how many"),
        [
            ("records", f"{facts.records:,}"),
            *((f"split {split}", f"{count:,}") for split, count in facts.splits.items()),
            ("stored", f"{facts.num_bytes:,} bytes"),
            *((f"licence {name}", f"{count:,}") for name, count in facts.licences.items()),
            *((f"language {name}", f"{count:,}") for name, count in facts.languages.items()),
        ],
    )
    yield from ("", "## Sources", "")
    yield from _table(
        ("source", "kind", "records", "licence", "authority", "from", "to"),
        [
            (
                source.name + (f" ({source.place})" if source.place not in ("", source.name) else ""),
                source.kind, f"{source.records:,}", ", ".join(source.licences),
                f"{source.authority:g}", _day(source.first), _day(source.last),
            )
            for source in facts.sources
        ],
    )  # fmt: skip
    yield from ("", "## How it was made", "")
    yield from (f"{n}. {words.operation(each)}" for n, each in enumerate(facts.recipe, 1))
    if facts.made:
        yield ""
        yield from _table(
            ("asset", "step", "finished", "digest"),
            [(m.asset, f"{m.step} {m.version}", m.finished, m.digest[:12]) for m in facts.made],
        )
    yield from ("", "## What was taken out", "")
    causes = [
        *((cause, "taken out", f"{count:,}") for cause, count in facts.lost.items()),
        *((cause, "marked, still in the snapshot", f"{count:,}") for cause, count in facts.marked.items()),
        *((cause, "could not be read", f"{count:,}") for cause, count in facts.quarantine.items()),
    ]  # fmt: skip
    yield from (
        _table(("cause", "what became of it", "records"), causes) if causes else ("Nothing.",)
    )
    if facts.gauges:
        yield from ("", "## Measured", "")
        yield from _table(
            ("report", "figure", "value", "from", "to"),
            [
                (g.report, g.name, f"{g.value:.4g} {g.unit}".strip(), _bound(g.low), _bound(g.high))
                for g in facts.gauges
            ],
        )
    yield from ("", "## Personal data", "", words.persons(facts))
    yield from ("", "## Known limits", "")
    yield from [f"- {limit}" for limit in words.limits(facts)] or ["None is known."]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _plain(text: str) -> str:
    """On one line, with nothing that ends a cell or begins markup."""
    return re.sub(r"([|\\`<>*_\[\]])", r"\\\1", " ".join(str(text).split()))


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _day(moment: Any) -> str:
    return "" if moment is None else moment.date().isoformat()
