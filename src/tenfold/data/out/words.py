"""What both cards say of a dataset in sentences: how it was made, what was done about persons, what it lacks.

Only what the recipe and the counts show; where nothing is known, that is said. Knows no format of a card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tenfold.data.out.facts import About, Facts

SYNTHETIC = ("data.augment", "data.synthesise")
_PII = {
    "pii.find": "searched for and counted",
    "pii.redact": "replaced by placeholders",
    "pii.pseudonymise": "replaced by stand-ins",
}


def description(facts: Facts, about: About) -> str:
    if about.description:
        return about.description
    sources = ", ".join(source.name for source in facts.sources[:5])
    more = f" and {len(facts.sources) - 5} more sources" if len(facts.sources) > 5 else ""
    return f"{facts.records:,} {facts.modality} records from {sources}{more}."


def collection(facts: Facts) -> str:
    """Where the records come from."""
    return " ".join(
        f"{source.name}: {source.records:,} records"
        + (f" read as {source.kind}" if source.kind else "")
        + (f" from {source.place}" if source.place and source.place != source.name else "")
        + f", under {', '.join(source.licences)}."
        for source in facts.sources
    )


def operation(each: Mapping[str, Any]) -> str:
    """One step of the recipe with its parameters."""
    given = each.get("parameters") or {}
    told = ", ".join(f"{name}={_short(value)}" for name, value in given.items())
    return f"{each['name']} {each['version']}" + (f" ({told})" if told else "")


def persons(facts: Facts) -> str:
    """What was done about personal data."""
    done = [f"{what} ({name})" for name, what in _PII.items() if facts.did(name)]
    if not done:
        return (
            "Personal data was neither searched for nor removed; texts of any origin may hold names, "
            "addresses and numbers of persons."
        )
    return (
        f"Structured personal data (mail addresses, numbers of telephones, cards and accounts and the like) was "
        f"{' and '.join(done)}. Names and what only its context makes personal may be left."
    )


def limits(facts: Facts) -> list[str]:
    """What is known to be missing or doubtful, one sentence each."""
    found = []
    if facts.quarantine:
        causes = ", ".join(f"{cause} {count:,}" for cause, count in facts.quarantine.items())
        found.append(
            f"Things that could not be read: {sum(facts.quarantine.values()):,} ({causes})."
        )
    if facts.lost:
        share = sum(facts.lost.values()) / (facts.records + sum(facts.lost.values()))
        found.append(f"{share:.1%} of the records that were read were taken out by rules.")
    undated = sum(source.records for source in facts.sources if source.first is None)
    if undated:
        found.append(f"The sources of {undated:,} records do not say when they were made.")
    if facts.modality == "text" and not facts.languages:
        found.append("The language of the texts was not looked for.")
    if not facts.did("data.dedup"):
        found.append("Duplicates were not searched for.")
    if "heldout" not in facts.splits:
        found.append("Nothing is held out for evaluation.")
    if len(facts.sources) == 1:
        found.append("All records come from one source, with its slant.")
    if facts.did(*SYNTHETIC):
        found.append("Some records were made from others; their `meta` names the parent.")
    return found


def _short(value: Any) -> str:
    told = json.dumps(value, ensure_ascii=False, default=str)
    return told if len(told) <= 120 else f"{told[:117]}..."
