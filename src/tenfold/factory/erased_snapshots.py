"""A snapshot in an erasure: segments under the names of their new contents, and a manifest whose counts fit.

Works from the files alone, old and new side by side, so that an erasure that was killed comes to the same
manifest when it is taken up again. Knows the files of a snapshot, no trace.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.core.asset import Draft, FileRef, Manifest, Snapshot
from tenfold.core.segment import Segment, read_batches

if TYPE_CHECKING:
    from tenfold.core.ports import Blobs

_CAUSE = {"lost": "drop", "quarantine": "cause"}
"""Folder of a snapshot -> the column of its files that names the cause."""


def rewritten(
    before: Manifest, files: Mapping[str, FileRef], blobs: Blobs, parents: Mapping[str, str]
) -> Manifest:
    """The snapshot `before` with some of its files exchanged (`files`: name -> what lies there now). `parents`:
    old digest -> new one. A file that has no row left is left out."""
    from tenfold.data.hub.writer import described

    content: dict[str, Any] = json.loads(_read(blobs, files[Snapshot.FILE]))
    after = {
        name: ref
        for name, ref in files.items()
        if before.files[name] == ref and name != Snapshot.FILE
    }
    segments = []
    for segment in map(Segment.from_json, content["segments"]):
        ref = files[segment.file]
        if before.files[segment.file] != ref:
            segment = described(blobs.path(ref.sha256))
        if segment.rows:
            segments.append(segment)
            after[segment.file] = ref
    for folder, column in _CAUSE.items():
        left = Counter(content[folder])
        for name, ref in files.items():
            old = before.files[name]
            if name.startswith(f"{folder}/") and old != ref:
                counts = _causes(blobs.path(ref.sha256), column)
                left -= _causes(blobs.path(old.sha256), column) - counts
                if counts:
                    after[f"{folder}/{ref.sha256}.parquet"] = ref
        content[folder] = dict(sorted(left.items()))
    licences = _sums(each.licences for each in segments)
    content["segments"] = [each.to_json() for each in segments]
    content["drops"] = _sums(each.drops for each in segments)
    content["parents"] = [parents.get(digest, digest) for digest in content["parents"]]
    content["metrics"] = {
        "records": sum(each.rows for each in segments),
        "kept": sum(each.kept for each in segments),
        "bytes": sum(each.num_bytes for each in segments),
        "segments": len(segments),
        "quarantined": sum(content["quarantine"].values()),
        "lost": sum(content["lost"].values()),
    }
    after[Snapshot.FILE] = _put(blobs, content)
    counted = {name: content["metrics"][name] for name in ("records", "kept", "bytes")}
    return replace(before, files=after, meta={**before.meta, **counted, "licences": licences})


def _causes(path: Path, column: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for batch in read_batches(path, [column]):
        found.update(batch.column(0).to_pylist())
    return found


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _read(blobs: Blobs, ref: FileRef) -> bytes:
    with blobs.open(ref.sha256) as stream:
        return stream.read()


def _put(blobs: Blobs, content: Mapping[str, Any]) -> FileRef:
    draft = Draft(Snapshot.kind)
    draft.write_json(Snapshot.FILE, content)
    return draft.commit(blobs).files[Snapshot.FILE]
