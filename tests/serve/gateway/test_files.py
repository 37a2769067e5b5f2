"""Files, with OpenAI's own client through a real gateway, and uploads that no decent client sends."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.serve.access.issue import create_key
from tenfold.serve.batch.config import BatchConfig

MB = 1024 * 1024


def client_of(served, key="none"):
    return openai.OpenAI(base_url=served.url + "/v1", api_key=key, max_retries=0)


def post(
    served, body, content_type="multipart/form-data; boundary=B", path="/v1/files", headers=None
):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request("POST", path, body, {"content-type": content_type, **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def status(served, method, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request(method, path, body)
        with connection.getresponse() as response:
            response.read()
            return response.status
    finally:
        connection.close()


@pytest.mark.parametrize("size", [0, 1, 100_000, 9 * MB])
def test_bytes_come_back_as_they_were(serving, echo, tmp_path, size):
    """Also those that are more than a question to a model may have."""
    data = bytes(range(256)) * (size // 256) + b"\r\n--B"[: size % 256]
    with serving(echo, state_dir=tmp_path) as served, client_of(served) as client:
        name = 'été "x".jsonl'
        made = client.files.create(file=(name, io.BytesIO(data)), purpose="user_data")
        assert (made.bytes, made.filename, made.purpose) == (len(data), name, "user_data")
        assert made.expires_at == made.created_at + 30 * 86_400
        assert client.files.content(made.id).content == data
        assert client.files.retrieve(made.id) == made
        assert client.files.delete(made.id).deleted
        for gone in (client.files.retrieve, client.files.content, client.files.delete):
            with pytest.raises(openai.NotFoundError):
                gone(made.id)
    left = [path for path in tmp_path.rglob("*") if "file-" in path.name]
    assert left == []


def test_a_list_is_paged_and_chosen_by_purpose(serving, echo, tmp_path):
    with serving(echo, state_dir=tmp_path) as served, client_of(served) as client:
        made = [
            client.files.create(file=(f"{n}", b"x"), purpose="batch" if n % 3 else "fine-tune").id
            for n in range(10)
        ]
        assert [one.id for one in client.files.list(limit=3)] == made[::-1]  # page after page
        assert [one.id for one in client.files.list(order="asc", limit=4)] == made
        assert [one.id for one in client.files.list(purpose="fine-tune")] == made[::3][::-1]
        for wrong in ({"limit": 0}, {"limit": 10_001}, {"after": "file-x"}, {"order": "up"}):
            with pytest.raises(openai.BadRequestError):
                client.files.list(**wrong)


def test_files_last_as_long_as_they_should(serving, echo, tmp_path):
    ahead_s = 0.0
    with (
        serving(echo, state_dir=tmp_path, now=lambda: time.time() + ahead_s) as served,
        client_of(served) as client,
    ):
        expiry = {"anchor": "created_at", "seconds": 3600}
        short = client.files.create(file=("a", b"x"), purpose="batch", expires_after=expiry)
        long = client.files.create(file=("b", b"x"), purpose="batch")
        ahead_s = 3601.0
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(short.id)
        assert [one.id for one in client.files.list()] == [long.id]
        served.gateway.batches._runner._sweep()
        assert not list(tmp_path.rglob(short.id + "*"))
        assert client.files.content(long.id).content == b"x"
        ahead_s = 31 * 86_400.0
        assert list(client.files.list()) == []


def test_a_tenant_has_so_much_room(serving, echo, tmp_path, ledger):
    keys = [create_key(ledger, name, tenant=name, now_s=1.0) for name in ("acme", "globex")]
    config = BatchConfig(tenant_bytes=2500)
    with (
        serving(echo, state_dir=tmp_path, batch=config) as served,
        client_of(served, keys[0]) as client,
        client_of(served, keys[1]) as other,
    ):
        first = client.files.create(file=("a", b"x" * 1000), purpose="batch")
        client.files.create(file=("b", b"x" * 1000), purpose="batch")
        with pytest.raises(openai.RateLimitError) as caught:
            client.files.create(file=("c", b"x" * 1000), purpose="batch")
        assert caught.value.code == "storage_limit_exceeded"
        other.files.create(file=("c", b"x" * 1000), purpose="batch")
        client.files.delete(first.id)
        client.files.create(file=("c", b"x" * 1000), purpose="batch")


def announce(served, num_bytes, key, path="/v1/files"):
    """The answer to a head that promises a body which never comes."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n"
            f"content-type: multipart/form-data; boundary=B\r\ncontent-length: {num_bytes}\r\n\r\n".encode()
        )
        connection.settimeout(0.3)
        try:
            return connection.recv(4096)
        except TimeoutError:
            return b""


def test_only_who_has_a_key_may_send_much(serving, echo, tmp_path, ledger):
    key = create_key(ledger, "app", tenant="acme", now_s=1.0)
    admin = create_key(ledger, "boss", tenant="acme", now_s=1.0, scopes=("admin",))
    config = BatchConfig(max_file_bytes=20 * MB)
    with serving(echo, state_dir=tmp_path, batch=config) as served:
        assert announce(served, 19 * MB, "sk-tf-wrong").startswith(b"HTTP/1.1 401 ")
        assert announce(served, 10, "sk-tf-wrong").startswith(b"HTTP/1.1 401 ")
        assert announce(served, 10, admin).startswith(b"HTTP/1.1 403 ")
        assert announce(served, 21 * MB, key).startswith(b"HTTP/1.1 413 ")
        assert announce(served, 19 * MB, key) == b""  # it waits for the body
        # Other paths keep their own limit.
        assert announce(served, 19 * MB, key, "/v1/batches").startswith(b"HTTP/1.1 413 ")


def test_a_page_in_a_browser_cannot_leave_files_here(serving, echo, tmp_path):
    body = form(("file", "a", b"x"), ("purpose", None, b"batch"))
    with serving(echo, state_dir=tmp_path) as served:
        status, _ = post(served, body, headers={"origin": "https://evil.example"})
        assert status == 403
        assert post(served, body)[0] == 200


def form(*parts):
    body = b""
    for name, filename, content in parts:
        told = f'name="{name}"' + (f'; filename="{filename}"' if filename else "")
        body += (
            f"--B\r\ncontent-disposition: form-data; {told}\r\n\r\n".encode() + content + b"\r\n"
        )
    return body + b"--B--\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("purpose", None, b"batch")],
        [("file", "a", b"x")],
        [("file", None, b"x"), ("purpose", None, b"batch")],
        [("file", "a\x01", b"x"), ("purpose", None, b"batch")],
        [("file", "a" * 256, b"x"), ("purpose", None, b"batch")],
        [("file", "a", b"x"), ("file", "b", b"x"), ("purpose", None, b"batch")],
        [("file", "a", b"x"), ("purpose", None, b"assistants")],
        [("file", "a", b"x"), ("purpose", None, b"\xff")],
        [("file", "a", b"x"), ("purpose", None, b"batch"), ("more", None, b"1")],
        [
            ("file", "a", b"x"),
            ("purpose", None, b"batch"),
            ("expires_after[seconds]", None, b"4000"),
        ],
        [
            ("file", "a", b"x"),
            ("purpose", None, b"batch"),
            ("expires_after[anchor]", None, b"created_at"),
            ("expires_after[seconds]", None, "²".encode()),
        ],
    ],
)
def test_what_is_no_file(serving, echo, tmp_path, parts):
    with serving(echo, state_dir=tmp_path) as served:
        status, told = post(served, form(*parts))
        assert status == 400
        assert told["error"]["message"]


PIECES = st.sampled_from(
    [b"--B\r\n", b"--B--", b"\r\n", b"\r\n\r\n", b'content-disposition: form-data; name="file"; filename="a"',
     b'content-disposition: form-data; name="purpose"', b"batch", b"{}\n", b"\0", b"\xff", b'"', b";"]
)  # fmt: skip
PATHS = st.text(st.sampled_from("abf0-_/.%?&=2e"), max_size=30).map(
    lambda text: "/v1/files/" + text
)


def test_any_bytes_and_any_path_get_an_answer(serving, echo, tmp_path):
    with serving(echo, state_dir=tmp_path) as served:

        @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.lists(PIECES, max_size=14).map(b"".join),
            PATHS,
            st.sampled_from(["", "; boundary=B"]),
        )
        def check(body, path, boundary):
            assert post(served, body, "multipart/form-data" + boundary)[0] in (200, 400, 415)
            assert post(served, body, "application/json", "/v1/batches")[0] == 400
            for method in ("GET", "POST", "DELETE", "PUT"):
                found = status(served, method, path, body if method == "POST" else None)
                assert found in (200, 400, 404, 405, 415)

        check()
