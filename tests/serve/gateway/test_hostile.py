"""Bytes that no decent client sends. Each gets an answer of its own or a closed connection; the gateway
goes on."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.serve.protocols.chat import Chat
from tenfold.serve.refusal import Refusal

CHAT = "/v1/chat/completions"


@pytest.fixture
def served(serving, echo):
    with serving(echo, max_body_bytes=100_000, body_timeout_s=0.3) as made:
        yield made
        assert post(made, b'{"model":"echo","messages":[{"role":"user","content":"x"}]}')[0] == 200


def post(served, body, path=CHAT, method="POST", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        data = response.read()
        error = json.loads(data)["error"] if response.status >= 400 and method != "HEAD" else None
        return response.status, error, dict(response.headers)
    finally:
        connection.close()


def raw(served, data, wait=True):
    """What comes back for these bytes until the gateway closes or is silent."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=3) as connection:
        connection.sendall(data)
        if not wait:
            return b""
        seen = b""
        try:
            while part := connection.recv(65536):
                seen += part
        except TimeoutError:
            pass
        return seen


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"", "empty"),
        (b"{", "char 1"),
        (b'{"model": "echo",, }', "column 18"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b"[1e999]", "infinity"),
        (b"[" * 50_000, "depth"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b'"text"', "JSON object"),
        (b"NaN", "not JSON"),
    ],
)
def test_a_body_that_is_not_a_request(served, body, match):
    status, error, headers = post(served, body)
    assert status == 400
    assert match in error["message"]
    assert error["type"] == "invalid_request_error"
    assert headers["x-tenfold-tier"] == "refused"
    assert headers["x-request-id"]


def test_nesting_beyond_what_a_key_can_be_made_of(served):
    deep = b'{"model":"echo","temperature":0,"messages":[{"role":"user","content":"x"}],"deep":'
    status, error, _ = post(served, deep + b"[" * 1000 + b"]" * 1000 + b"}")
    assert status == 400
    assert "nested too deep" in error["message"]


def test_fields_that_stand_twice(served):
    """Decoders differ in which they take: what was allowed and counted must be what is answered."""
    said = b'"messages":[{"role":"user","content":"x"}]'
    for model in (b'"model":"echo"', b'"mod\\u0065l":"echo"', b'"model" : "other"'):
        status, error, _ = post(served, b'{"model":"echo",%b,%b}' % (said, model))
        assert (status, error["param"], error["code"]) == (400, "model", "duplicate_field")
    within = b'{"model":"echo",%b,"metadata":{"model":"x"}}' % said
    assert post(served, within)[0] == 200
    # What takes a closer look must not be more than that look can take.
    deep = b'{"model":"echo",%b,"metadata":{"model":%b}}'
    assert post(served, deep % (said, b"[" * 1000 + b"]" * 1000))[0] == 400
    assert post(served, deep % (said, b"1" * 5000))[0] in (200, 400)


def test_too_large_by_announcement_and_by_arrival(served):
    status, error, headers = post(served, b" " * 20_000_000)
    assert (status, error["code"]) == (413, "request_too_large")
    assert headers["connection"] == "close"

    def endless():
        for _ in range(200):
            yield b" " * 1000

    status, error, _ = post(served, endless())
    assert (status, error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("begun", [b"", b"{"])
def test_a_body_that_never_comes(served, begun):
    seen = raw(
        served,
        b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n%b"
        % (CHAT.encode(), begun),
    )
    assert seen.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in seen


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /v1/chat",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nho",
    ],
)
def test_a_head_that_never_ends_loses_its_connection(served, begun):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(begun)
        seen = b""
        while part := connection.recv(65536):  # b"" is the gateway's end; a timeout would raise
            seen += part
    assert seen.count(b"HTTP/1.1 200") == begun.count(b"\r\n\r\n")


def test_a_quiet_connection_that_was_answered_is_kept(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        sock = connection.sock
        time.sleep(0.5)  # longer than a head may take
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        assert connection.sock is sock
    finally:
        connection.close()


def test_a_compressed_body_is_refused_for_what_it_is(served):
    status, error, _ = post(served, gzip.compress(b"{}"), headers={"content-encoding": "gzip"})
    assert (status, error["code"]) == (415, "unsupported_content_encoding")
    plain = b'{"model":"echo","messages":[{"role":"user","content":"x"}]}'
    assert post(served, plain, headers={"content-encoding": "identity"})[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "word " * 60}]}, "messages"),
        ("/v1/completions", {"prompt": "word " * 60}, "prompt"),
    ],
)
def test_a_prompt_that_is_too_long_names_the_field_it_came_in(served, path, body, param):
    status, error, _ = post(served, json.dumps({"model": "echo", **body}).encode(), path)
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", param)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/chat",
        "/v1/chat/completions/",
        "/v2/models",
        "/%00%ff",
        "//",
        "/v1/models/../x",
    ],
)
def test_unknown_urls(served, path):
    status, error, _ = post(served, None, path=path, method="GET")
    assert status == 404
    assert error["message"]


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        (CHAT, "GET", "POST"),
        (CHAT, "DELETE", "POST"),
        ("/v1/models", "POST", "GET, HEAD"),
        ("/healthz", "PUT", "GET, HEAD"),
    ],
)
def test_wrong_methods(served, path, method, allowed):
    status, error, headers = post(served, None, path=path, method=method)
    assert (status, headers["allow"]) == (405, allowed)
    assert allowed.partition(",")[0] in error["message"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\r\n\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
    ],
)
def test_not_http_at_all(served, data):
    with socket.create_connection(("127.0.0.1", served.port), timeout=3) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        seen = connection.recv(65536)
    assert not seen.startswith(b"HTTP/1.1 500")


def test_a_model_name_cannot_break_logs_or_headers(served):
    body = {
        "model": "a\r\nset-cookie: x\x00\u2028" + "y" * 5000,
        "messages": [{"role": "user", "content": "x"}],
    }
    status, error, headers = post(served, json.dumps(body).encode())
    assert (status, error["code"]) == (404, "model_not_found")
    assert "set-cookie" not in headers
    event = served.events()[-1]
    assert len(event.model) <= 200
    assert event.model.isprintable()


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "model",
                "messages",
                "n",
                "stop",
                "stream",
                "stream_options",
                "temperature",
                "top_p",
                "seed",
                "max_tokens",
                "prompt",
                "input",
                "encoding_format",
                "dimensions",
                "x",
            ]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=6)
            | st.just("echo"),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["role", "content", "type", "text", "include_usage"]),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=6,
        ),
        max_size=8,
    ),
    st.sampled_from([CHAT, "/v1/completions", "/v1/embeddings"]),
)
def test_any_json_gets_an_answer_or_names_its_fault(served, body, path):
    encoded = json.dumps(body).encode("utf-8", "surrogatepass")
    status, error, _ = post(served, encoded, path=path)
    assert status in (200, 400, 404)
    if error is not None:
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]


def test_many_requests_in_one_packet_are_all_answered_in_order(served):
    def one(text):
        body = b'{"model":"echo","messages":[{"role":"user","content":"%b"}]}' % text
        return b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (
            CHAT.encode(),
            len(body),
            body,
        )

    seen = raw(
        served,
        one(b"first")
        + one(b"second")
        + b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )
    assert seen.count(b"HTTP/1.1 200 OK") == 2
    assert seen.count(b"HTTP/1.1 404") == 1
    assert seen.index(b"first first") < seen.index(b"second second")


def test_a_browser_at_the_door_is_shown_the_console_and_a_client_is_told_the_routes(serving, echo):
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    with serving(echo, mounts={"/console": page}) as served:
        status, _, headers = post(served, None, path="/", method="GET", headers=browser)
        assert (status, headers["location"]) == (307, "/console/")
        for told in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
            assert post(served, None, path="/", method="GET", headers=told)[0] == 404
        assert post(served, b"{}", path="/", headers=browser)[0] == 404
    with serving(echo) as served:
        status, error, _ = post(served, None, path="/", method="GET", headers=browser)
        assert (status, error["code"]) == (404, "unknown_url")


def test_a_mounted_application_owns_its_prefix_and_nothing_beside_it(serving, echo):
    async def hello(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    with serving(echo, mounts={"/console": hello}) as served:
        assert post(served, None, path="/console", method="GET")[0] == 200
        assert post(served, None, path="/console/a", method="GET")[0] == 200
        assert post(served, None, path="/consoles", method="GET")[0] == 404
        assert post(served, None, path="/v1/models", method="GET")[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:8080", "Origin": "http://127.0.0.1:3000"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
    ],
)
def test_a_web_page_of_another_site_cannot_use_an_open_gateway(served, headers, status):
    """By its own origin, or by a name of its own that it had point at this machine (DNS rebinding)."""
    body = b'{"model":"echo","messages":[{"role":"user","content":"x"}]}'
    found, error, _ = post(served, body, headers=headers)
    assert found == status
    assert status == 200 or error["code"] == "key_required"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        (b',"model":"echo"', "model"),
        (b',"m\\u006fdel":"echo"', "model"),
        (b',"x":{"a":1,"b":{"c":[{"d":1,"d":2}]}}', "d"),
        (b',"x" : {"a" :1,\n"a"\t: 1}', "a"),
        (b',"x":{"a":"\\u0022:","a":"\\":"}', "a"),
        (b',"x":{"\\u0061":1,"a":2}', "a"),
    ],
)
def test_a_field_that_stands_twice_is_refused_wherever_it_is(served, more, field):
    """The server behind us may take the one, and we count, allow and store the other."""
    whole = b'{"model":"echo","messages":[{"role":"user","content":"\\"a\\" : \\"b\\":"}]%b}'
    assert post(served, whole % b',"temperature" : 0, "user": "\\u0022:"')[0] == 200
    status, error, _ = post(served, whole % more)
    assert (status, error["code"], error["param"]) == (400, "duplicate_field", field)


def test_fields_without_number_cost_no_more_than_reading_them():
    """What grows with the square of their number would take hours here."""
    many = b"".join(b',"%d":0' % number for number in range(500_000))
    whole = b'{"model":"m","messages":[{"role":"user","content":"x"}]%b}'
    assert Chat().read(whole % many).model == "m"
    with pytest.raises(Refusal, match="stands twice"):
        Chat().read(whole % (many + b',"7":0'))


@pytest.mark.parametrize("escape", [b"", b"\\u0041"])
@pytest.mark.parametrize("depth", [300, 900, 1010])
def test_nesting_is_refused_before_anybody_has_to_write_it_again(served, depth, escape):
    whole = (
        b'{"model":"echo","messages":[{"role":"user","content":"x%b"}],"stream":true,"stream_options":'
        b'{"include_usage":false},"x":%b1%b}' % (escape, b"[" * depth, b"]" * depth)
    )
    status, error, _ = post(served, whole)
    assert status == 400
    assert error["code"] == "invalid_json"


def test_an_error_of_the_wire_has_the_shape_of_the_path(served):
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
    for length in (20_000_000, 10):
        ours = raw(served, head % (b"/v1/messages", length)).partition(b"\r\n\r\n")[2]
        plain = json.loads(ours)
        assert plain["type"] == "error"
        assert plain["error"]["type"] in ("request_too_large", "timeout_error")
        theirs = raw(served, head % (CHAT.encode(), length)).partition(b"\r\n\r\n")[2]
        assert set(json.loads(theirs)["error"]) == {"message", "type", "param", "code"}
    status, error, _ = post(served, b"{}", path="/v1/messages/batches")
    assert (status, error["type"]) == (404, "not_found_error")


def test_a_header_in_two_lines_is_one_list_or_refused(served):
    body = b'{"model":"echo","messages":[{"role":"user","content":"x"}],"temperature":0}'

    def tier(*lines):
        told = b"POST %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n"
        seen = raw(served, told % (CHAT.encode(), len(body)) + b"".join(lines) + b"\r\n" + body)
        return seen.partition(b"x-tenfold-tier: ")[2].partition(b"\r\n")[0]

    for _ in range(2):
        assert tier(b"cache-control: no-store\r\n", b"cache-control: max-age=5\r\n") == b"model"
    assert tier(b"authorization: Bearer a\r\n", b"authorization: Bearer b\r\n") == b"refused"
    assert tier(b"authorization: Bearer a\r\n", b"authorization: Bearer a\r\n") == b"model"


def test_headers_that_a_backend_reads_tell_requests_apart(served):
    body = b'{"model":"echo","messages":[{"role":"user","content":"y"}],"temperature":0}'
    ways = [{}, {"openai-beta": "a"}, {"openai-beta": "b"}]
    for tier in ("model", "exact", "exact"):
        for headers in ways:
            found = post(served, body, headers={**headers, "traceparent": "00-1-1-00"})[2]
            assert found["x-tenfold-tier"] == tier


def test_a_stranger_cannot_have_megabytes_held(serving, echo):
    with serving(echo, require_keys=True) as served:
        key = served.gateway.keys.lend("app", "acme")
        body = json.dumps(
            {"model": "echo", "messages": [{"role": "user", "content": "x" * 200_000}]}
        ).encode()
        assert post(served, body)[0] == 413
        assert post(served, body, headers={"x-api-key": "sk-tf-" + "a" * 43})[0] == 413
        known = {"Authorization": f"Bearer {key}"}
        status, error, _ = post(served, body, headers=known)
        assert (status, error) == (200, None)
