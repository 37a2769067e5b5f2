"""A snapshot in Croissant 1.1 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html): JSON-LD that says
what the files are, what is in their columns, who may use them, and where they come from.

Provenance is PROV-O as the specification recommends it, the fields on responsible AI are those of Croissant RAI
1.0. Written from facts, not from hopes: what is not known is left out. Knows no ledger and writes no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tenfold.core.asset import Snapshot
from tenfold.data.out import words
from tenfold.data.out.facts import About, Facts, SourceFacts

FILE = "croissant.json"
VERSION = "http://mlcommons.org/croissant/1.1"
RAI = "http://mlcommons.org/croissant/RAI/1.0"
PARQUET = "application/x-parquet"
RECORDS = "records"
"""The name of the record set; `records-files` are the files it is read from."""

_PLAIN = (
    "annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileProperty "
    "fileObject fileSet format includes isArray isLiveDataset jsonPath key md5 parentField recordSet references "
    "regex readLines sdVersion separator source subField transform unArchive value"
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    **{name: f"cr:{name}" for name in _PLAIN.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
"""Appendix 1 of the specification, and PROV-O."""

_MEANING = {
    "id": "16 hex digits of SHA-256 over source and content.",
    "source": "The source it was read from.",
    "place": "Where a person finds it again.",
    "modality": "text, image or row.",
    "time": "When the content was made or last changed, as its source says.",
    "licence": "The terms of this record.",
    "authority": "0 to 1: how far its source is trusted.",
    "meta": "What else the source knows, as one JSON object.",
    "text": "The text.",
    "image": "The bytes of the image file.",
    "split": "train, or heldout: never to be trained on.",
}
_SPDX = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9.+-]*-[A-Za-z0-9.+-]*[0-9][A-Za-z0-9.+-]*|MIT|ISC|Zlib|0BSD"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of the dataset, as it lies beside the description."""

    name: str
    """Relative, with `/`."""
    sha256: str
    num_bytes: int


def files_of(snapshot: Snapshot) -> list[DataFile]:
    """Its segments, as they lie in the asset's folder."""
    return [
        DataFile(name=each.file, sha256=each.sha256, num_bytes=each.num_bytes)
        for each in snapshot.segments()
    ]


def croissant(
    facts: Facts, about: About, files: Sequence[DataFile], columns: pa.Schema
) -> dict[str, Any]:
    """The description, as JSON values. `columns`: of the Parquet `files`."""
    plain: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [VERSION, RAI],
        "name": about.name,
        "description": words.description(facts, about),
        "license": [licence_url(licence) for licence in facts.licences],
        "url": about.url or f"urn:sha256:{facts.digest}",
        "version": about.version,
        "isLiveDataset": False,
    }
    if about.creator:
        plain["creator"] = {"@type": "sc:Organization", "name": about.creator}
    if about.published:
        plain["datePublished"] = about.published
    if about.creator and about.published:
        plain["citeAs"] = _citation(facts, about)
    if facts.languages:
        plain["inLanguage"] = list(facts.languages)
    plain |= {
        "distribution": _distribution(files),
        "recordSet": [_record_set(columns)],
        "prov:wasDerivedFrom": [
            *(_source(source) for source in facts.sources),
            *(
                {"@id": f"urn:sha256:{digest}", "@type": "prov:Entity", "prov:label": "parent"}
                for digest in facts.parents
            ),
        ],
        "prov:wasGeneratedBy": _activities(facts),
        "rai:dataCollection": words.collection(facts),
        "rai:dataPreprocessingProtocol": [words.operation(each) for each in facts.recipe],
        "rai:dataLimitations": words.limits(facts),
        "rai:personalSensitiveInformation": words.persons(facts),
    }
    return plain


def _citation(facts: Facts, about: About) -> str:
    """BibTeX, as the specification asks for."""
    key = re.sub(r"[^A-Za-z0-9]+", "-", about.name)
    return (
        f"@misc{{{key}, title={{{about.name}}}, author={{{about.creator}}}, "
        f"year={{{about.published[:4]}}}, version={{{about.version}}}, note={{sha256:{facts.digest}}}}}"
    )


def licence_url(licence: str) -> str:
    """Of an SPDX name the page of its terms; a URL and anything else as it is."""
    return f"https://spdx.org/licenses/{licence}.html" if _SPDX.fullmatch(licence) else licence


def _distribution(files: Sequence[DataFile]) -> list[dict[str, Any]]:
    each = [
        {
            "@type": "cr:FileObject",
            "@id": file.name,
            "name": file.name.rpartition("/")[2],
            "contentUrl": file.name,
            "contentSize": f"{file.num_bytes} B",
            "encodingFormat": PARQUET,
            "sha256": file.sha256,
        }
        for file in files
    ]
    together = {
        "@type": "cr:FileSet",
        "@id": f"{RECORDS}-files",
        "name": f"{RECORDS}-files",
        "encodingFormat": PARQUET,
        "includes": sorted({f"{file.name.rpartition('/')[0]}/*.parquet" for file in files}),
    }
    return [*each, together]


def _record_set(columns: pa.Schema) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "name": RECORDS,
        "key": {"@id": f"{RECORDS}/id"},
        "field": [_field(column) for column in columns],
    }


def _field(column: pa.Field) -> dict[str, Any]:
    kind = column.type
    made: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{RECORDS}/{column.name}",
        "name": column.name,
        "description": _MEANING.get(column.name, f"Written by the operator {column.name.partition('.')[0]}."),
    }  # fmt: skip
    if column.name.startswith("row."):
        made["description"] = "A column of the table."
    if pa.types.is_list(kind):
        kind = kind.value_type
        made |= {"isArray": True, "arrayShape": "-1"}
    return made | {
        "dataType": "sc:ImageObject" if column.name == "image" else _type(kind),
        "source": {
            "fileSet": {"@id": f"{RECORDS}-files"},
            "extract": {"column": column.name},
        },
    }


def _type(kind: pa.DataType) -> str:
    for test, name in (
        (pa.types.is_boolean, "sc:Boolean"),
        (pa.types.is_integer, "sc:Integer"),
        (pa.types.is_floating, "sc:Float"),
        (pa.types.is_temporal, "sc:DateTime"),
    ):
        if test(kind):
            return name
    return "sc:Text"


def _source(source: SourceFacts) -> dict[str, Any]:
    made: dict[str, Any] = {
        "@id": f"urn:tenfold:source:{re.sub(r'[^A-Za-z0-9._-]+', '-', source.name)}",
        "@type": "prov:Entity",
        "prov:label": source.name,
        "license": [licence_url(licence) for licence in source.licences],
    }
    if source.place:
        made["prov:atLocation"] = source.place
    return made


def _activities(facts: Facts) -> list[dict[str, Any]]:
    """What the ledger has; without it the recipe of the manifest."""
    if not facts.made:
        return [_activity(words.operation(each)) for each in facts.recipe]
    return [
        {
            **_activity(f"{made.step} {made.version}", made.finished),
            "prov:generated": {"@id": f"urn:sha256:{made.digest}"},
            **_given(made.config),
        }
        for made in facts.made
    ]


def _activity(label: str, ended: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"@type": "prov:Activity", "prov:label": label}
    if ended:
        made["prov:endedAtTime"] = ended
    return made


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are plain; sources have their own place."""
    told = {name: value for name, value in config.items() if name not in ("sources", "cluster")}
    said = words.operation({"name": "", "version": "", "parameters": told}).strip()
    return {"description": said} if told else {}


def required(plain: Mapping[str, Any]) -> Iterable[str]:
    """The required properties of the specification that a description lacks."""
    names = ("@context", "@type", "conformsTo", "description", "license", "name", "url", "creator",
             "datePublished", "distribution")  # fmt: skip
    return [name for name in names if not plain.get(name)]
