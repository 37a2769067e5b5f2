"""Who may look: a real server, raw requests, and the headers that come back."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from tenfold.console.guard import Guard, hostname


def ask(site, path="/", method="GET", **headers):
    """(status, headers, body) of one raw request; the Host can be anything."""
    parts = urlsplit(site.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.putrequest(method, parts.path + path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example",
     "127.0.0.1@evil.example", "", "localhost/evil", "evil.example#localhost", "0.0.0.0", "[::2]",
     "localhost:notaport"],
)  # fmt: skip
def test_another_name_for_this_machine_is_misdirected(site, host):
    status, _, body = ask(site, host=host)
    assert status == 421
    assert "small" not in body


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:80", "localhost."]
)
def test_our_own_names_are_served_on_any_port(site, host):
    assert ask(site, host=host)[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost.evil.example", "https://127.0.0.1"]
)
def test_a_page_of_another_site_may_not_read(site, origin):
    for path in ("/", "/live/overview", "/static/live.js"):
        assert ask(site, path, origin=origin)[0] == 403


def test_our_own_origin_may_read(site):
    host = urlsplit(site.url).netloc
    assert ask(site, origin=f"http://{host}")[0] == 200


def test_a_link_from_elsewhere_may_lead_here_but_nothing_may_be_embedded(site):
    navigated = ask(site, sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    embedded = ask(site, sec_fetch_site="cross-site", sec_fetch_mode="no-cors")
    assert (navigated[0], embedded[0]) == (200, 403)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_is_ever_written(site, method):
    assert ask(site, method=method)[0] == 405


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/nowhere", 404), ("/static/console.css", 200), ("/assets/nobody", 404)],
)
def test_every_answer_is_hardened(site, path, status):
    found, headers, _ = ask(site, path)
    assert found == status
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server-timing" not in headers


def test_refusals_are_hardened_too(site):
    _, headers, _ = ask(site, host="evil.example")
    assert "content-security-policy" in headers


@pytest.mark.parametrize(
    ("address", "remote", "passes"),
    [("127.0.0.1", False, True), ("::1", False, True), ("::ffff:127.0.0.1", False, True),
     ("192.0.2.7", False, False), ("192.0.2.7", True, True), ("not an address", False, False)],
)  # fmt: skip
def test_other_machines_stay_out_unless_they_are_let_in(address, remote, passes):
    guard = Guard(None, allowed_hosts=("localhost",), allow_remote=remote)
    scope = {
        "type": "http", "method": "GET", "client": (address, 5000), "headers": [(b"host", b"localhost")],
    }  # fmt: skip
    assert (guard.refusal(scope) is None) == passes


def test_hostnames_are_read_as_a_browser_reads_them():
    assert hostname("LocalHost:80") == "localhost"
    assert hostname("[::1]:80") == "::1"
    assert hostname("a@b") == hostname("a/b") == hostname("[::1") == ""


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/nothing.css",
     "/live/nothing", "/static/"],
)  # fmt: skip
def test_only_vendored_files_are_served(site, path):
    status, _, body = ask(site, path)
    assert status == 404
    assert "import" not in body
