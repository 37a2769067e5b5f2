"""TLS with certificates that openssl made, against Python's own client."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
import warnings

import httpx
import pytest

from tenfold.errors import ConfigError
from tenfold.serve.http.tls import server_tls


def openssl(*words) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, require):
    require(shutil.which("openssl"), "openssl")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", 2, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", key, "-out", certificate,
    )  # fmt: skip
    return certificate, key


def test_a_round_trip_with_a_verified_certificate(serving, loop_factory, pair):
    trusted = ssl.create_default_context(cafile=pair[0])
    with serving(tls=server_tls(*pair), factory=loop_factory) as served:
        url = f"https://localhost:{served.port}"
        with httpx.Client(verify=trusted, base_url=url) as client:
            for size in (0, 10, 3_000_000):
                answer = client.post("/tls", content=b"x" * size)
                assert len(eval(answer.content)[4]) == size
            assert served.server.num_connections == 1


def test_a_refusal_arrives_through_tls(serving, pair):
    trusted = ssl.create_default_context(cafile=pair[0])
    with serving(tls=server_tls(*pair), max_body_bytes=10, linger_s=0.5) as served:
        answer = httpx.post(
            f"https://localhost:{served.port}/", content=b"x" * 5_000_000, verify=trusted
        )
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("version", "works"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)  # fmt: skip
def test_versions_that_are_broken_are_not_spoken(serving, pair, version, works):
    client = ssl.create_default_context(cafile=pair[0])
    client.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is what is asked for
        client.minimum_version = client.maximum_version = version
    with serving(tls=server_tls(*pair)) as served, served.connect() as plain:
        try:
            with client.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert secure.recv(99).startswith(b"HTTP/1.1 200")
        except ssl.SSLError:
            assert not works
        else:
            assert works


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_client_that_never_says_hello(serving, loop_factory, pair, sent):
    tls = server_tls(*pair)
    with serving(tls=tls, handshake_timeout_s=0.3, factory=loop_factory) as served:
        assert b"HTTP/1.1 200" not in served.raw(sent)  # a connection that stays open would raise


def test_a_client_that_leaves_through_tls_is_noticed(serving, pair):
    left = []

    def handler(request):
        request.on_gone = lambda: left.append(request.encrypted)
        request.begin(200, b"")
        request.write(b"first")

    trusted = ssl.create_default_context(cafile=pair[0])
    with serving(handler, tls=server_tls(*pair)) as served:
        with socket.create_connection(("localhost", served.port)) as plain:
            secure = trusted.wrap_socket(plain, server_hostname="localhost")
            secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert secure.recv(100)
            secure.close()
        deadline = time.monotonic() + 10
        while not left:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert left == [True]


def test_files_that_cannot_be_used_say_why(pair, tmp_path):
    certificate, key = pair
    with pytest.raises(ConfigError, match="certificate cannot be read: No such file"):
        server_tls(tmp_path / "none.pem", key)
    with pytest.raises(ConfigError, match="key cannot be read: No such file"):
        server_tls(certificate, tmp_path / "none.pem")
    other = tmp_path / "other.pem"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", other)
    with pytest.raises(ConfigError, match="key is not the certificate's"):
        server_tls(certificate, other)
    (tmp_path / "text.pem").write_text("not a certificate")
    with pytest.raises(ConfigError, match="not a PEM file"):
        server_tls(tmp_path / "text.pem", key)
    locked = tmp_path / "locked.pem"
    openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked)
    with pytest.raises(ConfigError, match="not a PEM file"):
        server_tls(certificate, locked)
