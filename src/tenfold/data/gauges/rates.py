"""Duplicates, personal data and errors: from the columns of operators where they ran, else from the sample."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.core import pii
from tenfold.data import record
from tenfold.data.gauges import statistic
from tenfold.data.gauges.gauge import Readings
from tenfold.data.gauges.sample import CONTENT, IMAGES, Sample

SEARCHED = 1000
"""Records looked through for personal data where no operator has done so."""
_BROKEN = re.compile("�|Ã[\u0080-¿]|â€|[\x00-\x08\x0b\x0e-\x1f]")
"""What is left of text that was read in a wrong encoding: U+FFFD, UTF-8 read as Latin-1 or Windows-1252,
control characters."""
_CLEARED = ("pii.redact.spans", "pii.pseudonymise.spans")


def duplicates(sample: Sample, content: Mapping[str, Any]) -> Readings:
    """Gauges `duplicates.*`."""
    found = Readings()
    keys = sample.column(CONTENT)
    if any(key is not None for key in keys):
        found.sampled("duplicates.twins", "",
                      statistic.twins(keys, sample.cluster, sample.population), len(sample))  # fmt: skip
        if sample.whole:
            extra = len(keys) - len(set(keys)) if None not in keys else _extra(keys)
            found.exact("duplicates.exact_share", "share", extra / len(keys), len(keys))
        else:
            found.absent["duplicates.exact_share"] = (
                "only part of the records was looked at: see duplicates.twins"
            )
    marked = Counter(content["drops"]) + Counter(content["lost"])
    taken = sum(count for cause, count in marked.items() if cause.startswith("dedup."))
    total = content["metrics"]["records"] + content["metrics"]["lost"]
    steps = {str(step.get("name", "")) for step in content["recipe"]["steps"]}
    if taken or any(name.endswith("dedup") or name.startswith("dedup") for name in steps):
        found.exact("duplicates.marked_share", "share", taken / max(1, total), total)
    return found


def _extra(keys: Sequence[Any]) -> int:
    return sum(count - 1 for key, count in Counter(keys).items() if key is not None)


def personal(sample: Sample) -> Readings:
    """Gauges `pii.*`: shares of records with a find, in all and by kind; what a redaction took out, apart."""
    found = Readings()
    for name in _CLEARED:
        if sample.has(name):
            spans = _numbers(sample.column(name))
            found.sampled(
                "pii.cleared_share",
                "share",
                statistic.mean(spans > 0, np.isfinite(spans)),
                len(sample),
            )
    if sample.has("pii.find.spans") and not any(map(sample.has, _CLEARED)):
        flags = {
            kind: _numbers(sample.column(f"pii.find.{kind}")) > 0
            for kind in pii.EVERY
            if sample.has(f"pii.find.{kind}")
        }
        every = _numbers(sample.column("pii.find.spans")) > 0
    else:
        texts = _texts(sample)[:SEARCHED]
        if not any(texts):
            return found
        spans_of = pii.find_many(texts, pii.KINDS)
        every = np.array([bool(spans) for spans in spans_of])
        flags = {
            kind: np.array([any(span.kind == kind for span in spans) for spans in spans_of])
            for kind in pii.KINDS
        }
    found.sampled("pii.record_share", "share", statistic.mean(every), len(every))
    for kind, marks in flags.items():
        if marks.any():
            found.sampled(f"pii.{kind.lower()}_share", "share", statistic.mean(marks), len(marks))
    return found


def errors(sample: Sample, content: Mapping[str, Any]) -> Readings:
    """Gauges `errors.*`."""
    found = Readings()
    quarantined = content["metrics"]["quarantined"]
    met = content["metrics"]["records"] + content["metrics"]["lost"] + quarantined
    found.exact("errors.quarantined_share", "share", quarantined / max(1, met), met)
    kind = np.array(sample.column(record.MODALITY))
    if sample.has(record.TEXT):
        is_text = kind == "text"
        texts = sample.column(record.TEXT)
        blank = np.array([not (text and text.strip()) for text in texts])
        broken = np.array([bool(text and _BROKEN.search(text)) for text in texts])
        for name, marks in (("empty_share", blank), ("broken_text_share", broken)):
            found.sampled(
                f"errors.{name}",
                "share",
                statistic.mean(marks, is_text),
                len(sample),
                int(is_text.sum()),
            )
    if sample.has("repair.lines"):
        lines = _numbers(sample.column("repair.lines"))
        found.sampled(
            "errors.repaired_share",
            "share",
            statistic.mean(lines > 0, np.isfinite(lines)),
            len(sample),
        )
    if sample.has(record.ROW):
        missing = np.array([_missing(row) for row in sample.column(record.ROW)])
        found.sampled("errors.missing_cell_share", "share", statistic.mean(missing), len(sample))
    if sample.has(record.IMAGE):
        looked = sample.column(record.IMAGE)[:IMAGES]
        unreadable = np.array([image is None for image in looked])
        images = kind[: len(looked)] == "image"
        found.sampled(
            "errors.unreadable_image_share",
            "share",
            statistic.mean(unreadable, images),
            len(looked),
            int(images.sum()),
        )
    return found


def _missing(row: Mapping[str, Any] | None) -> float:
    return sum(value is None for value in row.values()) / len(row) if row else np.nan


def _numbers(values: Sequence[Any]) -> Any:
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


def _texts(sample: Sample) -> list[str]:
    if sample.has(record.TEXT):
        return [text or "" for text in sample.column(record.TEXT)]
    rows = sample.column(record.ROW)
    return ["\n".join(str(v) for v in row.values() if v is not None) if row else "" for row in rows]
