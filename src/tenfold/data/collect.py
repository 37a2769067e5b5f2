"""`data.collect`: text from the outside world into a corpus, with source and licence on every document.

The only step of this room that looks outside; `observe` makes what it sees part of the key, so a changed
file means a new corpus and an unchanged one means no work. It does not clean: that is `data.curate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tenfold.core.asset import Corpus, Document, Draft
from tenfold.core.step import Context, Resources, step
from tenfold.data import python_docs, text_files
from tenfold.data.source import Unreadable
from tenfold.errors import ConfigError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectConfig:
    """Where the text comes from."""

    source: Literal["python-docs", "paths"] = "python-docs"
    """`python-docs`: the documentation of the running Python. `paths`: files of yours."""
    paths: tuple[str, ...] = ()
    """For `paths`: patterns of .txt, .md, .rst and .jsonl files, relative to the factory file."""
    licence: str = ""
    """For `paths`: the licence of the text, as an SPDX name where there is one. Required there."""
    text_field: str = "text"
    """The field of a .jsonl row that holds the text."""
    on_error: Literal["fail", "skip"] = "fail"
    """What an unreadable document does: stop the step, or be counted and left out."""
    limit: int = 0
    """The most documents to take, in order; 0: all."""

    def __post_init__(self) -> None:
        if self.source == "paths" and not self.paths:
            raise ConfigError("source 'paths' needs at least one pattern under paths")
        if self.source == "paths" and not self.licence.strip():
            raise ConfigError(
                "source 'paths' needs a licence",
                hint="say under which terms the text may be used, such as CC-BY-4.0 or proprietary",
            )
        if self.source == "python-docs" and (self.paths or self.licence):
            raise ConfigError(
                "paths and licence belong to source 'paths'",
                seen=self.licence or list(self.paths),
                hint="python-docs brings its own licence; set source: paths to read files",
            )
        if self.limit < 0:
            raise ConfigError("limit must be 0 or more documents", seen=self.limit)


def observe(config: Mapping[str, Any], directory: str | Path) -> dict[str, str]:
    """What the outside world looks like now. Raises InputError for a pattern without a file."""
    if config["source"] == "paths":
        return text_files.fingerprint(config["paths"], Path(directory))
    return python_docs.fingerprint()


@step(
    version="1",
    name="data.collect",
    produces=Corpus,
    resources=Resources(cpu=1),
    observe=observe,
)
def collect(ctx: Context, *, config: CollectConfig) -> Draft:
    """Collect documents. Metrics: documents, bytes, unreadable, per source, licence and cause."""
    if config.source == "paths":
        found = text_files.text_files(
            config.paths,
            Path(ctx.scratch.get("directory", ".")),
            licence=config.licence,
            text_field=config.text_field,
        )
    else:
        found = python_docs.python_docs()
    counts: Counter[str] = Counter()
    draft = Corpus.write(ctx.draft(Corpus.kind), _readable(found, config, counts, ctx))
    if not draft.meta["documents"]:
        raise InputError(
            "nothing to collect: the source holds no readable document",
            where="data.collect",
            seen=dict(counts),
        )
    draft.meta["bytes"] = counts["bytes"]
    ctx.metric("documents", draft.meta["documents"], unit="documents")
    ctx.metric("bytes", counts["bytes"], unit="bytes")
    ctx.metric("unreadable", counts["unreadable"], unit="documents")
    for name in sorted(counts):
        if name.startswith(("source.", "licence.", "unreadable.")):
            ctx.metric(name, counts[name], unit="documents")
    return draft


def _readable(
    found: Iterator[Document | Unreadable],
    config: CollectConfig,
    counts: Counter[str],
    ctx: Context,
) -> Iterator[Document]:
    num_documents = 0
    for item in found:
        if isinstance(item, Unreadable):
            if config.on_error == "fail":
                raise item.error()
            counts["unreadable"] += 1
            counts[f"unreadable.{item.cause}"] += 1
            ctx.log("unreadable", where=item.where, cause=item.cause, fact=item.fact)
            continue
        num_documents += 1
        counts["bytes"] += len(item.text.encode())
        counts[f"source.{_family(item.source)}"] += 1
        counts[f"licence.{item.licence}"] += 1
        yield item
        if num_documents % 500 == 0:
            ctx.progress(num_documents, config.limit, item.source)
        if num_documents == config.limit:
            return


def _family(source: str) -> str:
    """A few words for the metric: `topics`, `lib`, or the kind of file."""
    if source.startswith(("python:", "pypy:")):
        return source.split("/")[1]
    name = source.rpartition(":")[0] or source
    return Path(name).suffix.lstrip(".") or "other"
