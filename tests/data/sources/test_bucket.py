"""Object stores: a server of our own that speaks enough S3 and checks every signature (AWS SigV4)."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import hmac
import io
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.errors import ConfigError, InputError

KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-3"
BUCKET = "corpus"
DATED = datetime.datetime(2024, 5, 18, 1, 58, 10, tzinfo=datetime.UTC)


def signature(
    method: str, path: str, query: str, headers: dict[str, str], authorization: str
) -> str:
    """As "Signature Version 4 signing process" defines it, from the request as it arrived."""
    names = re.search(r"SignedHeaders=([^,]+)", authorization)[1].split(";")
    pairs = sorted(part if "=" in part else f"{part}=" for part in query.split("&") if part)
    canonical = "\n".join(
        [method, path, "&".join(pairs)]
        + [f"{name}:{' '.join(headers[name].split())}" for name in names]
        + ["", ";".join(names), headers["x-amz-content-sha256"]]
    )
    day = headers["x-amz-date"][:8]
    scope = f"{day}/{REGION}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    key = b"AWS4" + SECRET.encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


class Store:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.refused: list[str] = []
        self.failures = 0
        """So many of the next GETs of objects answer 503."""
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                store.answer(self)

            do_GET = do_HEAD

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        given = headers.get("authorization", "")
        signed = re.search(r"Signature=(\w+)", given)
        if not signed or signed[1] != signature(request.command, path, query, headers, given):
            self.refused.append(request.path)
            self._send(request, 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            return
        bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
        if bucket != BUCKET:
            self._send(request, 404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif not key:
            self._list(request, dict(urllib.parse.parse_qsl(query)))
        elif key not in self.objects:
            self._send(request, 404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif request.command == "GET" and self.failures:
            self.failures -= 1
            self._send(request, 503, b"<Error><Code>SlowDown</Code></Error>")
        else:
            data, status = self.objects[key], 200
            if span := re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", "")):
                data, status = data[int(span[1]) : int(span[2] or len(data)) + 1], 206
            self._send(request, status, data)

    def _list(self, request: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        """ListObjectsV2, two at a time, so that going on has to work."""
        names = sorted(n for n in self.objects if n.startswith(query.get("prefix", "")))
        rest = [n for n in names if n > query.get("continuation-token", "")]
        if query.get("delimiter"):  # "is it a folder?"
            rest = rest[:1]
        listed, more = rest[:2], len(rest) > 2
        body = "".join(
            f"<Contents><Key>{name}</Key><Size>{len(self.objects[name])}</Size>"
            f"<LastModified>{DATED:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
            for name in listed
        )
        if more:
            body += f"<NextContinuationToken>{listed[-1]}</NextContinuationToken>"
        xml = (
            f"<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(listed)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{body}</ListBucketResult>"
        )
        self._send(request, 200, xml.encode())

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Last-Modified", f"{DATED:%a, %d %b %Y %H:%M:%S GMT}")
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


@pytest.fixture
def store(monkeypatch) -> Iterator[Store]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    made = Store()
    yield made
    made.close()


def line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"


def test_objects_below_a_prefix(store, read):
    store.objects = {
        "raw/a.jsonl": line("a"),
        "raw/deep/b.jsonl.gz": gzip.compress(line("b") * 3),
        "raw/deep/c.jsonl": line("c") + b"broken\n",
        "raw/notes.txt": b"of another kind",
        "rawer/d.jsonl": line("d"),
        "other/e.jsonl": line("e"),
    }
    settings = {
        "kind": "jsonl", "path": f"s3://{BUCKET}/raw", "time": "modified",
        "s3": {"endpoint": store.endpoint, "region": REGION},
    }  # fmt: skip
    found = read(**settings)
    assert found.texts == ["a", "b", "b", "b", "c"]
    assert [(one.place, one.cause) for one in found.quarantined] == [("deep/c.jsonl:2", "json")]
    assert not store.refused
    assert found.records[0]["time"] == DATED
    assert not read(found.cursor, **settings).records
    store.objects["raw/z.jsonl"] = line("z")
    store.objects["raw/a.jsonl"] = line("longer a")
    assert read(found.cursor, **settings).texts == ["longer a", "z"]


def test_formats_read_from_their_end_and_stores_that_falter(store, read):
    held = io.BytesIO()
    pq.write_table(pa.table({"text": [f"row {n}" for n in range(5000)]}), held)
    store.objects = {"t/a.parquet": held.getvalue()}
    store.failures = 2
    found = read(
        kind="parquet", modality="text", path=f"s3://{BUCKET}/t/a.parquet",
        s3={"endpoint": store.endpoint, "region": REGION},
    )  # fmt: skip
    assert len(found.records) == 5000
    assert found.records[0]["place"] == "a.parquet#row=1"


def test_a_wrong_secret_and_a_missing_bucket_are_said(store, read, monkeypatch):
    s3 = {"endpoint": store.endpoint, "region": REGION}
    with pytest.raises(InputError, match="cannot be listed"):
        read(kind="jsonl", path="s3://elsewhere/x", s3=s3)
    with pytest.raises(ConfigError, match="no bucket"):
        read(kind="jsonl", path="s3://", s3=s3)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(InputError) as error:
        read(kind="jsonl", path=f"s3://{BUCKET}/raw", s3=s3)
    assert store.refused
    assert "wrong" not in str(error.value)


def test_file_urls_are_paths(put, read):
    assert read(kind="jsonl", path="file://" + put("a.jsonl", line("a"))).texts == ["a"]
