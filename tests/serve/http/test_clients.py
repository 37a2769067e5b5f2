"""Real clients, unmodified, against a real server: keep-alive, parts, methods, curl's habits."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import subprocess

import httpx
import pytest


def test_the_standard_librarys_client_keeps_its_connection(echoing):
    connection = http.client.HTTPConnection("127.0.0.1", echoing.port, timeout=10)
    sockets = set()
    for number in range(5):
        body = b"x" * number * 1000
        connection.request("POST", f"/a%20b?n={number}", body, {"X-Number": str(number)})
        response = connection.getresponse()
        method, path, query, headers, seen = eval(response.read())
        assert (method, path, query) == ("POST", "/a b", b"n=%d" % number)
        assert seen == body
        assert (b"x-number", b"%d" % number) in headers
        assert (b"content-length", b"%d" % len(body)) in headers
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_httpx_with_many_requests_at_once(echoing):
    async def ask() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{echoing.port}") as client:
            answers = await asyncio.gather(
                *(client.post(f"/{n}", content=b"%d" % n * 50) for n in range(60))
            )
        for n, answer in enumerate(answers):
            assert answer.status_code == 200
            assert eval(answer.content)[1::3] == (f"/{n}", b"%d" % n * 50)

    asyncio.run(ask())


def test_httpx_sends_a_body_in_chunks(echoing):
    parts = [b"a" * 10, b"b" * 100_000, b"c"]
    answer = httpx.post(f"http://127.0.0.1:{echoing.port}/", content=iter(parts))
    assert eval(answer.content)[4] == b"".join(parts)


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_curl_with_any_version_it_offers(echoing, require, tmp_path, version):
    """`--http2` asks for an upgrade, which is an offer that a server may leave."""
    require(shutil.which("curl"), "curl")
    (tmp_path / "body").write_bytes(b"y" * 2_000_000)
    done = subprocess.run(
        ["curl", "-sS", version, "--data-binary", f"@{tmp_path}/body", f"http://127.0.0.1:{echoing.port}/up"],
        capture_output=True, timeout=20, check=True,
    )  # fmt: skip
    assert eval(done.stdout)[4] == b"y" * 2_000_000


def test_every_kind_of_answer_reads_the_same_to_a_client(serving):
    def handler(request):
        status, kind = request.path[1:].split("/")
        if kind == "whole":
            request.reply(int(status), b"x-a: b\r\n", b"0123456789" * 5000)
        else:
            length = 50_000 if kind == "counted" else None
            request.begin(int(status), b"x-a: b\r\n", length)
            for _ in range(5):
                request.write(b"0123456789" * 1000)
                request.write(b"")
            request.finish()

    with serving(handler) as served:
        for version in (b"1.0", b"1.1"):
            http.client.HTTPConnection._http_vsn_str = f"HTTP/{version.decode()}"
            http.client.HTTPConnection._http_vsn = int(version.replace(b".", b""))
            try:
                connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
                for method in ("GET", "HEAD", "POST"):
                    for status in (200, 204, 304, 404, 418, 599):
                        for kind in ("whole", "parts", "counted"):
                            connection.request(method, f"/{status}/{kind}")
                            response = connection.getresponse()
                            bodiless = method == "HEAD" or status in (204, 304)
                            assert response.status == status
                            assert response.headers["x-a"] == "b"
                            assert response.read() == (b"" if bodiless else b"0123456789" * 5000)
                            if method == "HEAD" and status == 200 and kind != "parts":
                                assert response.headers["content-length"] == "50000"
            finally:
                http.client.HTTPConnection._http_vsn_str = "HTTP/1.1"
                http.client.HTTPConnection._http_vsn = 11
                connection.close()
