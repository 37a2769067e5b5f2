"""`data.card`: what there is to know of a snapshot, for people (README.md) and for machines (croissant.json).

Written from the snapshot's own manifest and records, so it can be an asset of a factory and a check can bound
what it counts. `tenfold data card` adds what only the ledger knows. Knows no ledger.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from tenfold.core.asset import Draft, Report, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError
from tenfold.need import need


@dataclass(frozen=True, slots=True, kw_only=True)
class CardConfig:
    """What only the owner of the data can say."""

    title: str = ""
    """Empty: the name of the asset."""
    description: str = ""
    """Empty: one sentence made of the facts."""
    creator: str = ""
    """Who publishes it. Croissant requires it."""
    url: str = ""
    """Its page; empty: a URN of its digest."""
    published: str = ""
    """The day, as 2026-11-21. Croissant requires it."""
    version: str = "1.0.0"
    """Major.minor.patch."""

    def __post_init__(self) -> None:
        if self.published and not re.fullmatch(r"\d{4}-\d\d-\d\d", self.published):
            raise ConfigError("published must be a day, as 2026-11-21", seen=self.published)
        if not re.fullmatch(r"\d+\.\d+\.\d+", self.version):
            raise ConfigError("version must be major.minor.patch", seen=self.version)


@step(version="1", name="data.card", produces=Report, resources=Resources(cpu=1))
def card(records: Snapshot, ctx: Context, *, config: CardConfig) -> Draft:
    """Describe a snapshot. Metrics: records, sources, licences, lost_share, unread."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.out import card as markdown
    from tenfold.data.out import croissant
    from tenfold.data.out.facts import About, facts_of
    from tenfold.data.out.words import limits, persons

    given = asdict(config)
    about = About(name=given.pop("title") or records.name, **given)
    facts = facts_of(records)
    plain = croissant.croissant(facts, about, croissant.files_of(records), facts.columns)
    draft = ctx.draft(Report.kind)
    draft.write_bytes(markdown.FILE, markdown.card(facts, about).encode())
    text = json.dumps(plain, indent=1, ensure_ascii=False)
    draft.write_bytes(croissant.FILE, text.encode() + b"\n")
    lost, unread = sum(facts.lost.values()), sum(facts.quarantine.values())
    metrics = {
        "records": facts.records,
        "sources": len(facts.sources),
        "licences": len(facts.licences),
        "lost_share": lost / max(1, lost + facts.records),
        "unread": unread,
    }
    draft.write_json(
        Report.FILE,
        {
            "snapshot": facts.digest,
            "metrics": metrics,
            "licences": dict(facts.licences),
            "splits": dict(facts.splits),
            "languages": dict(facts.languages),
            "lost": dict(facts.lost),
            "quarantine": dict(facts.quarantine),
            "personal_data": persons(facts),
            "limits": limits(facts),
            "lacks": list(croissant.required(plain)),
        },
    )
    for name, value in metrics.items():
        ctx.metric(name, value)
    return draft
