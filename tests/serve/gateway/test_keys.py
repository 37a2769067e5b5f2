"""Virtual keys: hashed at rest, noticed when revoked, needed when they should be."""

from __future__ import annotations

import http.client
import time

import openai
import pytest

from tenfold.core.facts import VirtualKey
from tenfold.errors import ConfigError, UnknownName, UsageError
from tenfold.ledger import open_ledger
from tenfold.serve.access.issue import create_key, revoke_key
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.server import check_exposure


def models(served, key, scheme="Bearer "):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        headers = {} if key is None else {"authorization": scheme + key}
        connection.request("GET", "/v1/models", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_secret_is_nowhere_in_the_ledgers_files(tmp_path):
    ledger = open_ledger(str(tmp_path / "ledger.db"))
    secret = create_key(ledger, "app", tenant="acme", now_s=1.0)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    ledger.close()
    written += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"acme" in written
    assert secret.encode() not in written
    assert secret.removeprefix("sk-tf-").encode() not in written


def test_an_open_gateway_closes_when_it_has_a_key(serving, echo, ledger):
    with serving(echo, keys_refresh_s=0.05) as served:
        assert models(served, None) == 200
        assert models(served, "anything") == 200
        assert models(served, "sk-tf-mistyped") == 401
        secret = create_key(ledger, "app", tenant="acme", now_s=1.0)
        wait_until(lambda: models(served, None) == 401)
        assert models(served, secret) == 200
        assert models(served, secret + "x") == 401
        assert models(served, secret, scheme="Basic ") == 401
        assert models(served, "", scheme="") == 401
        revoke_key(ledger, "app", now_s=2.0)
        wait_until(lambda: models(served, secret) == 401)
        assert models(served, None) == 401  # the last key is gone: nobody comes in, not everybody
        assert models(served, "anything") == 401


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("required", "without", "wrong"), [(True, 401, 401), (False, 200, 401), (None, 200, 401)]
)
def test_the_policy_without_any_key(serving, echo, required, without, wrong):
    with serving(echo, require_keys=required) as served:
        assert models(served, None) == without
        assert models(served, "sk-tf-wrong") == wrong


def test_the_official_client_sees_an_authentication_error(serving, echo):
    with (
        serving(echo, require_keys=True) as served,
        openai.OpenAI(base_url=served.url + "/v1", api_key="sk-tf-no", max_retries=0) as client,
    ):
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model="echo", messages=[])
        assert caught.value.code == "invalid_api_key"
        (event,) = served.events()
        assert (event.status, event.tier) == (401, "refused")
        assert "sk-tf-no" not in repr(event)


def test_names_are_taken_once_and_free_again(ledger):
    first = create_key(ledger, "app", tenant="acme", now_s=1.0)
    with pytest.raises(UsageError, match="exists"):
        create_key(ledger, "app", tenant="acme", now_s=2.0)
    revoke_key(ledger, "app", now_s=3.0)
    with pytest.raises(UnknownName, match="app"):
        revoke_key(ledger, "app", now_s=4.0)
    assert create_key(ledger, "app", tenant="acme", now_s=5.0) != first
    (key,) = [key for key in ledger.read(VirtualKey) if key.revoked_at_s is None]
    assert key.created_at_s == 5.0


@pytest.mark.parametrize("name", ["", "a b", "x" * 200, "line\nbreak", "-dash"])
def test_names_that_do_not_read_well(ledger, name):
    with pytest.raises(ConfigError):
        create_key(ledger, name, tenant="acme", now_s=1.0)
    with pytest.raises(ConfigError):
        create_key(ledger, "app", tenant=name, now_s=1.0)


@pytest.mark.parametrize(
    ("host", "required", "fine"),
    [
        ("127.0.0.1", None, True),
        ("::1", False, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("0.0.0.0", False, False),
        ("192.168.1.5", None, False),
        ("0.0.0.0", True, True),
    ],
)
def test_beyond_loopback_keys_are_a_must(ledger, echo, host, required, fine):
    gateway = Gateway(GatewayConfig(require_keys=required), [echo], ledger)
    if fine:
        check_exposure(gateway, host)
    else:
        with pytest.raises(ConfigError, match="require keys"):
            check_exposure(gateway, host)
