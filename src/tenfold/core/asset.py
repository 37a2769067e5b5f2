"""Assets: named, typed, digested things, and the drafts they are made from.

An asset is a handful of files plus a little JSON (`meta`). Its digest is the digest of its manifest, so
two assets with the same bytes are the same asset. Steps receive assets and return drafts; they never
learn where a store keeps its blobs. Formats: JSON, JSON Lines, Parquet, safetensors, GGUF. Never pickle.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from tenfold.core.keys import canonical_json, digest
from tenfold.core.segment import Segment, read_batches
from tenfold.core.shards import Shard
from tenfold.core.tokens import TokenFile, TokenStream
from tenfold.errors import BlobMissing, InputError, UnknownName, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from tenfold.core.ports import Blobs


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file of an asset: where its bytes are (by content) and how many there are."""

    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What an asset consists of. Equal manifests have equal digests."""

    kind: str
    files: Mapping[str, FileRef]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        return digest(self.to_bytes())

    @property
    def num_bytes(self) -> int:
        return sum(ref.num_bytes for ref in self.files.values())

    def to_bytes(self) -> bytes:
        return canonical_json(
            {
                "kind": self.kind,
                "files": {name: [ref.sha256, ref.num_bytes] for name, ref in self.files.items()},
                "meta": dict(self.meta),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes | str) -> Manifest:
        """Of what `to_bytes` wrote, and nothing else: its digest is taken as it stands."""
        plain = json.loads(data)
        files = {name: FileRef(sha, size) for name, (sha, size) in plain["files"].items()}
        manifest = cls(plain["kind"], files, plain["meta"])
        manifest.__dict__["digest"] = digest(data if isinstance(data, bytes) else data.encode())
        return manifest


class Asset:
    """A manifest with a way to read its files. Subclasses give a kind its own reading verbs."""

    kind: ClassVar[str] = "asset"

    def __init__(self, name: str, manifest: Manifest, blobs: Blobs) -> None:
        self.name = name
        self.manifest = manifest
        self._blobs = blobs

    def __repr__(self) -> str:
        return f"<{self.manifest.kind} {self.name} {self.digest[:12]}>"

    def _repr_html_(self) -> str:
        from html import escape  # notebooks only

        rows = "".join(
            f"<tr><td>{escape(name)}</td><td style='text-align:right'>{ref.num_bytes:,}</td></tr>"
            for name, ref in sorted(self.files.items())
        )
        return (
            f"<b>{escape(self.name)}</b> <code>{escape(self.manifest.kind)}</code> "
            f"<code>{self.digest[:12]}</code><table><tr><th>file</th><th>bytes</th></tr>{rows}</table>"
        )

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def meta(self) -> Mapping[str, Any]:
        return self.manifest.meta

    @property
    def files(self) -> Mapping[str, FileRef]:
        return self.manifest.files

    @property
    def num_bytes(self) -> int:
        return self.manifest.num_bytes

    def open(self, file: str) -> BinaryIO:
        """The bytes of one file, as a readable stream. Raises UnknownName, BlobMissing."""
        return self._blobs.open(self._ref(file).sha256)

    def read_bytes(self, file: str) -> bytes:
        with self.open(file) as stream:
            return stream.read()

    def read_json(self, file: str) -> Any:
        try:
            return json.loads(self.read_bytes(file))
        except ValueError as error:
            raise InputError(f"not JSON: {error}", where=f"{self.name}/{file}") from None

    def lines(self, file: str) -> Iterator[str]:
        """Lines of a UTF-8 file without their line ends, one at a time."""
        with io.TextIOWrapper(self.open(file), encoding="utf-8", newline="\n") as text:
            try:
                for line in text:
                    yield line.rstrip("\n")
            except UnicodeDecodeError as error:
                raise InputError(f"not UTF-8: {error}", where=f"{self.name}/{file}") from None

    def path(self, file: str) -> Path:
        """A local read-only path to one file, for memory mapping. Its name is its content's, not `file`."""
        return self._blobs.path(self._ref(file).sha256)

    def folder(self) -> Path:
        """A local read-only folder with the files under their own names, for tools that want a folder."""
        return self._blobs.folder(self.manifest)

    def _ref(self, file: str) -> FileRef:
        try:
            return self.manifest.files[file]
        except KeyError:
            raise UnknownName("file", file, self.manifest.files, where=repr(self)) from None


@dataclass(frozen=True, slots=True)
class Document:
    """One text with where it came from and under which licence it may be used."""

    id: str
    text: str
    source: str
    licence: str
    split: str = "train"
    """`train` or `heldout`: held-out documents are never trained on."""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def to_row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "text": self.text,
            "source": self.source,
            "licence": self.licence,
            "split": self.split,
            "meta": dict(self.meta),
        }


class Corpus(Asset):
    """Documents in `documents.jsonl`, one JSON object per line.

    Meta: `documents`, `characters`, `licences` (licence -> documents), so that lineage can name them.
    """

    kind: ClassVar[str] = "corpus"
    FILE: ClassVar[str] = "documents.jsonl"

    def documents(self, split: str | None = None) -> Iterator[Document]:
        for number, line in enumerate(self.lines(self.FILE), 1):
            try:
                document = Document(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"not a document: {error}", where=f"{self.name}/{self.FILE}:{number}"
                ) from None
            if split is None or document.split == split:
                yield document

    @property
    def count(self) -> int:
        return int(self.meta["documents"])

    @classmethod
    def write(cls, draft: Draft, documents: Iterable[Document]) -> Draft:
        """Write `documents` into a draft of kind `corpus`."""
        num_documents = num_characters = 0
        licences: dict[str, int] = {}

        def rows() -> Iterator[dict[str, Any]]:
            nonlocal num_documents, num_characters
            for document in documents:
                num_documents += 1
                num_characters += len(document.text)
                licences[document.licence] = licences.get(document.licence, 0) + 1
                yield document.to_row()

        draft.write_jsonl(cls.FILE, rows())
        draft.meta.update(
            documents=num_documents,
            characters=num_characters,
            licences=dict(sorted(licences.items())),
        )
        return draft


class Table(Asset):
    """Rows in `rows.jsonl`. Meta: `rows`, `schema` (column -> type name)."""

    kind: ClassVar[str] = "table"
    FILE: ClassVar[str] = "rows.jsonl"

    def rows(self) -> Iterator[dict[str, Any]]:
        for line in self.lines(self.FILE):
            yield json.loads(line)

    @property
    def count(self) -> int:
        return int(self.meta["rows"])

    @property
    def schema(self) -> Mapping[str, str]:
        return self.meta["schema"]

    @classmethod
    def write(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        schema: Mapping[str, str] | None = None,
        draft: Draft | None = None,
    ) -> Draft:
        """A draft table of `rows`. Without `schema`, columns and types are those of the first row."""
        target = draft if draft is not None else Draft(cls.kind)
        num_rows = 0
        seen: dict[str, str] | None = dict(schema) if schema is not None else None

        def checked() -> Iterator[dict[str, Any]]:
            nonlocal num_rows, seen
            for row in rows:
                num_rows += 1
                if seen is None:
                    seen = {name: type(value).__name__ for name, value in row.items()}
                if row.keys() != seen.keys():
                    raise InputError(
                        f"row {num_rows} has other columns than the table",
                        seen=sorted(row.keys() ^ seen.keys()),
                        hint="give every row the same columns, with None where a value is missing",
                    )
                yield dict(row)

        target.write_jsonl(cls.FILE, checked())
        target.meta.update(rows=num_rows, schema=seen or {})
        return target


class Tokenizer(Asset):
    """`tokenizer.json` in the format of the `tokenizers` library. Meta: `vocabulary`."""

    kind: ClassVar[str] = "tokenizer"

    def special_token(self, role: str) -> str | None:
        """The token that `tokenizer_config.json` names as `bos_token` or `eos_token`; None: it names none."""
        if "tokenizer_config.json" not in self.files:
            return None
        token = self.read_json("tokenizer_config.json").get(role)
        found = token.get("content") if isinstance(token, dict) else token
        return None if found is None else str(found)


class Model(Asset):
    """A transformers folder: config.json, model.safetensors, tokenizer.json. Meta: `parameters`, `dtype`."""

    kind: ClassVar[str] = "model"


class Report(Asset):
    """Findings in `report.json`, sometimes with more files beside it."""

    kind: ClassVar[str] = "report"
    FILE: ClassVar[str] = "report.json"

    @property
    def content(self) -> Any:
        return self.read_json(self.FILE)


class Snapshot(Asset):
    """Records at rest: segments under `segments/`, and what is known of them in `snapshot.json`.

    Meta: `records`, `kept`, `bytes`, `modality`, `licences` (licence -> kept records). Another snapshot that
    shares a segment shares its bytes in the store.
    """

    kind: ClassVar[str] = "snapshot"
    FILE: ClassVar[str] = "snapshot.json"

    @cached_property
    def content(self) -> Mapping[str, Any]:
        """The manifest: recipe, parents, segments, drops by cause, quarantine by cause, metrics."""
        plain: Mapping[str, Any] = self.read_json(self.FILE)
        return plain

    @property
    def count(self) -> int:
        """Records that are not marked as dropped."""
        return int(self.meta["kept"])

    def segments(self) -> list[Segment]:
        """In order. The file of one is `segment.file`; `path(segment.file)` is where to map it from."""
        return [Segment.from_json(plain) for plain in self.content["segments"]]

    def batches(
        self, columns: Sequence[str] | None = None, kept_only: bool = True
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of a few megabytes, in order; of `columns` only, where given.

        `kept_only` leaves out what is marked as dropped. Raises MissingExtra without pyarrow, BlobMissing.
        """
        for segment in self.segments():
            yield from read_batches(self.path(segment.file), columns, kept_only=kept_only)


class Shards(Asset):
    """Tokens for training, memory-mapped, and what is known of them in `shards.json`.

    Meta: `documents`, `tokens`, `bytes` (UTF-8 of the text), `tokenizer` (digest), `licences`
    (licence -> documents).
    """

    kind: ClassVar[str] = "shards"
    FILE: ClassVar[str] = "shards.json"

    @cached_property
    def content(self) -> Mapping[str, Any]:
        """The manifest: tokenizer, width of an id, packing rules, parents, shards in order."""
        plain: Mapping[str, Any] = self.read_json(self.FILE)
        return plain

    def shards(self, split: str | None = None) -> list[Shard]:
        """In order."""
        found = [Shard.from_json(plain) for plain in self.content["shards"]]
        return [shard for shard in found if split in (None, shard.split)]

    def tokens(self, split: str) -> TokenStream:
        """All ids of `train` or `heldout`, documents in the order of the snapshot."""
        files = [
            TokenFile(
                path=self.path(shard.ids_file),
                num_tokens=shard.num_tokens,
                num_bytes=shard.num_bytes,
                offsets=self.path(shard.offsets_file),
                num_documents=shard.num_documents,
            )
            for shard in self.shards(split)
        ]
        return TokenStream(files, self.content["id_bytes"])


class Piece(Asset):
    """A finished part of a step's work, kept under a key of its own; never an asset of a factory."""

    kind: ClassVar[str] = "piece"


KINDS: Mapping[str, type[Asset]] = {
    cls.kind: cls
    for cls in (Asset, Corpus, Table, Tokenizer, Model, Report, Snapshot, Shards, Piece)
}


def view(name: str, manifest: Manifest, blobs: Blobs) -> Asset:
    """The asset under the class of its kind; an unknown kind is a plain Asset."""
    return KINDS.get(manifest.kind, Asset)(name, manifest, blobs)


class Draft:
    """An asset being made: files in a staging folder, and `meta`. Nothing is visible until it is committed.

    Without a folder it holds its files in memory, so that a step's pure part can build one anywhere.
    """

    def __init__(self, kind: str, folder: Path | None = None) -> None:
        self.kind = kind
        self.meta: dict[str, Any] = {}
        self._folder = folder
        self._memory: dict[str, bytes] = {}
        self._stored: dict[str, FileRef] = {}

    def path(self, file: str) -> Path:
        """Where to write `file`, for libraries that want a path. Needs a draft from a Context."""
        if self._folder is None:
            raise UsageError(
                "this draft lives in memory and has no paths",
                hint="make it with ctx.draft(kind), or use write_bytes",
            )
        target = self._folder / _safe(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def write_bytes(self, file: str, data: bytes) -> None:
        if self._folder is None:
            self._memory[_safe(file)] = data
        else:
            self.path(file).write_bytes(data)

    def write_json(self, file: str, value: Any) -> None:
        """Indented, with sorted keys, so that equal values give equal bytes."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self.write_bytes(file, text.encode() + b"\n")

    def write_jsonl(self, file: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """One canonical JSON object per line, streamed: rows need not fit in memory when a folder is there."""
        if self._folder is None:
            self._memory[_safe(file)] = b"".join(canonical_json(row) + b"\n" for row in rows)
            return
        with self.path(file).open("wb") as stream:
            for row in rows:
                stream.write(canonical_json(row) + b"\n")

    def include(self, file: str, ref: FileRef) -> None:
        """Bytes that the store has already, as `file` of this asset: of a piece, or of another asset."""
        self._stored[_safe(file)] = ref

    def commit(self, blobs: Blobs) -> Manifest:
        """Hand every file to the store; the manifest is the asset. Called by the engine, not by steps.

        Raises InputError for what is neither a file nor a folder, BlobMissing for an included file that
        has left the store.
        """
        files: dict[str, FileRef] = {}
        for name, ref in self._stored.items():
            if not blobs.has(ref):
                raise BlobMissing(
                    f"the blob {ref.sha256[:12]} has left the store",
                    where=name,
                    hint="run again: what is missing is made again",
                )
            files[name] = ref
        for name, data in sorted(self._memory.items()):
            files[name] = blobs.put_bytes(data)
        if self._folder is not None:
            for path in sorted(self._folder.rglob("*")):
                name = path.relative_to(self._folder).as_posix()
                if path.is_file():
                    files[name] = blobs.put(path)
                elif (
                    path.is_symlink() or not path.is_dir()
                ):  # leaving it out would lose it in silence
                    raise InputError(
                        "a draft holds files and folders, not links to folders, dead links or pipes",
                        where=name,
                        hint="copy the files into the draft",
                    )
        return Manifest(self.kind, files, dict(self.meta))


def _safe(file: str) -> str:
    """A relative POSIX path that stays inside the asset."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UsageError("a file name inside an asset must be relative and stay inside", seen=file)
    return path.as_posix()
