"""Runs in a peer's own environment: datatrove's or data-juicer's curation over a file of JSON lines.

    python data_curate_peer.py {datatrove,data-juicer} DOCUMENTS.jsonl MODEL.ftz FOLDER

Says as one line of JSON what was kept and the CPU seconds it took, start-up and a first document apart.
Knows the peers; knows nothing of tenfold.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def datatrove(documents: Path, model: str, folder: Path) -> dict[str, Any]:
    """Stock blocks in FineWeb's order; the language model is the bundled one, as on our side."""
    from datatrove.data import Document  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup import (  # type: ignore[import-not-found]
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
        GopherQualityFilter,
        GopherRepetitionFilter,
        LanguageFilter,
    )
    from datatrove.pipeline.formatters import FTFYFormatter  # type: ignore[import-not-found]
    from fasttext.FastText import _FastText  # type: ignore[import-not-found]
    from loguru import logger  # type: ignore[import-not-found]

    logger.remove()
    language = LanguageFilter(languages="en", language_threshold=0.65)
    language.model._model = _FastText(model)  # it would be fetched from the net
    config = MinhashConfig(num_buckets=14, hashes_per_bucket=8, n_grams=5)
    before = [FTFYFormatter(), language, GopherRepetitionFilter(), GopherQualityFilter()]

    def through(blocks: list[Any], stream: Any) -> list[Any]:
        for block in blocks:
            stream = block.run(stream, rank=0, world_size=1)
        return list(stream)

    def fresh() -> Any:
        with documents.open() as lines:
            for line in lines:
                row = json.loads(line)
                yield Document(text=row["text"], id=row["id"])

    def deduplicated(stream: list[Any], place: Path) -> list[Any]:
        paths = [str(place / name) for name in ("signatures", "buckets", "remove")]
        list(MinhashDedupSignature(paths[0], config=config).run(iter(stream), 0, 1) or ())
        for bucket in range(config.num_buckets):
            blocks = MinhashDedupBuckets(paths[0], paths[1], config=config)
            list(blocks.run(None, bucket, config.num_buckets) or ())
        list(MinhashDedupCluster(paths[1], paths[2], config=config).run(None, 0, 1) or ())
        return list(MinhashDedupFilter(paths[2]).run(iter(stream), 0, 1))

    warm = [
        Document(text="The first call of the peer loads its tables. " * 30, id=f"warm{n}")
        for n in "ab"
    ]
    deduplicated(through(before, iter(warm)) or warm, folder / "warm")
    started_s = time.process_time()
    filtered = through(before, fresh())
    filtered_s = time.process_time() - started_s
    final = deduplicated(filtered, folder / "real")
    return {
        "filtered": [document.id for document in filtered],
        "kept": [document.id for document in final],
        "filter_cpu_s": filtered_s,
        "cpu_s": time.process_time() - started_s,
    }


def data_juicer(documents: Path, model: str, folder: Path) -> dict[str, Any]:
    """The operators nearest to ours that need no model from the net."""
    from data_juicer.core.data import NestedDataset  # type: ignore[import-not-found]
    from data_juicer.ops.deduplicator.document_minhash_deduplicator import (  # type: ignore[import-not-found]
        DocumentMinhashDeduplicator,
    )
    from data_juicer.ops.filter.alphanumeric_filter import (  # type: ignore[import-not-found]
        AlphanumericFilter,
    )
    from data_juicer.ops.filter.character_repetition_filter import (  # type: ignore[import-not-found]
        CharacterRepetitionFilter,
    )
    from data_juicer.ops.filter.stopwords_filter import (  # type: ignore[import-not-found]
        StopWordsFilter,
    )
    from data_juicer.ops.filter.word_repetition_filter import (  # type: ignore[import-not-found]
        WordRepetitionFilter,
    )
    from data_juicer.ops.mapper.fix_unicode_mapper import (  # type: ignore[import-not-found]
        FixUnicodeMapper,
    )
    from datasets import disable_caching, disable_progress_bars  # type: ignore[import-not-found]

    disable_caching()
    disable_progress_bars()
    folder.mkdir(parents=True, exist_ok=True)
    stops = (
        "the be to of and that have with a in is it for on as was at by i he she his her you not"
    )
    (folder / "stopwords.json").write_text(json.dumps({"en": stops.split()}))
    operators = [
        FixUnicodeMapper(num_proc=1),
        AlphanumericFilter(num_proc=1),
        CharacterRepetitionFilter(num_proc=1),
        WordRepetitionFilter(num_proc=1),
        StopWordsFilter(num_proc=1, min_ratio=0.1, stopwords_dir=str(folder)),
        DocumentMinhashDeduplicator(
            num_proc=1, num_permutations=112, num_bands=14, num_rows_per_band=8
        ),
    ]

    def through(rows: list[dict[str, Any]]) -> list[str]:
        dataset = NestedDataset.from_list(rows)
        for one in operators:
            dataset = one.run(dataset)
        return list(dataset["id"])

    through([{"id": "warm", "text": "The first call of the peer loads its tables. " * 30}] * 2)
    started_s = _cpu_s()
    with documents.open() as lines:
        rows = [{key: row[key] for key in ("id", "text")} for row in map(json.loads, lines)]
    kept = through(rows)
    return {"kept": kept, "cpu_s": _cpu_s() - started_s}


def _cpu_s() -> float:
    """Of this process and of the children it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    measured = {"datatrove": datatrove, "data-juicer": data_juicer}[sys.argv[1]]
    result = measured(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    print("\n" + json.dumps(result), flush=True)
