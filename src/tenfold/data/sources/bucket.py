"""Objects under a prefix of an S3-compatible store, through Arrow's client: signatures, retries, ranges.

Credentials come from the machine's own places (AWS_* variables, ~/.aws), never from a factory file. Knows
no format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.storage import Entry, fits
from tenfold.errors import ConfigError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """How to reach a store."""

    endpoint: str | None = None
    """`https://host:port` of a store that is not Amazon's."""
    region: str | None = None
    anonymous: bool = False
    """Without a signature, for public buckets."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """`s3://bucket/prefix`: the object of that name, or all below it."""

    url: str
    access: S3

    def entries(self, match: tuple[str, ...]) -> Iterator[Entry | Quarantined]:
        from pyarrow import fs  # the S3 client's start takes 0.1 s

        root = self.url.removeprefix("s3://").strip("/")
        if not root:
            raise ConfigError("no bucket is named", where="path", seen=self.url)
        try:
            store = self._client()
            top = store.get_file_info(root)
            if top.type == fs.FileType.File:
                found, base = [top], root.rpartition("/")[0]
            else:
                found, base = store.get_file_info(fs.FileSelector(root, recursive=True)), root
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be listed: {error}", where=self.url) from None
        for info in sorted(found, key=lambda info: info.path):
            name = info.path[len(base) + 1 :]
            if info.type == fs.FileType.File and (len(found) == 1 or fits(name, match)):
                yield _entry(store, info, name)

    def _client(self) -> Any:
        from pyarrow import fs

        scheme, _, host = (self.access.endpoint or "").rpartition("://")
        return fs.S3FileSystem(
            anonymous=self.access.anonymous,
            region=self.access.region or ("us-east-1" if host else None),
            scheme=scheme or "https",
            endpoint_override=host or None,
            connect_timeout=10,
            request_timeout=60,
        )


def _entry(store: Any, info: Any, name: str) -> Entry:
    return Entry(
        name=name,
        size=info.size,
        modified=info.mtime,
        stamp=lambda: f"{info.size}-{info.mtime_ns}",
        open=lambda: cast(BinaryIO, store.open_input_file(info.path)),
    )
