"""A segment that a step writes itself, of batches it has at hand, kept in the store under its content."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from tenfold.core.asset import FileRef, Piece
from tenfold.core.segment import Segment
from tenfold.core.step import Context
from tenfold.data.hub.job import FILE, job_key
from tenfold.data.hub.writer import write_segment


def keep_segment(
    ctx: Context, batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> tuple[Segment, FileRef]:
    """What `write_snapshot` takes. Raises StoreFull."""
    draft = ctx.draft(Piece.kind)
    segment = write_segment(draft.path(FILE), batches, schema)
    draft.meta.update(segment.to_json())
    piece = ctx.keep(job_key("segment", sha256=segment.sha256), draft)
    return segment, piece.files[FILE]
