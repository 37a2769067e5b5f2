"""Who gets in, and with what: the ring, what keys carry, rotation, the audit."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.core.facts import AuditEntry, VirtualKey
from tenfold.errors import ConfigError, LeaseHeld, UnknownName
from tenfold.ledger.audit import first_broken
from tenfold.serve.access.admin_secret import check_admin_secret
from tenfold.serve.access.grant import LOCAL_GRANT, Cap, TenantPolicy
from tenfold.serve.access.issue import create_key, revoke_key, rotate_key
from tenfold.serve.access.keys import KeyRing, hash_of
from tenfold.serve.refusal import Refusal


class Clock:
    def __init__(self, at_s: float = 1000.0) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ring(ledger, clock):
    ring = KeyRing(None, now=clock)
    return ring


def refused(ring, *headers, **more):
    with pytest.raises(Refusal) as caught:
        ring.admit(*headers, **more)
    return caught.value


def bearer(secret: str) -> bytes:
    return b"Bearer " + secret.encode()


def test_a_key_is_taken_from_either_header(ledger, ring):
    secret = create_key(ledger, "app", tenant="acme", now_s=1.0)
    ring.load(ledger)
    for headers in (
        (bearer(secret), None),
        (b"bearer  " + secret.encode() + b" ", None),
        (b"Bearer " + secret.encode() + b" ", None),
        (None, secret.encode()),
        (bearer(secret), b"sk-ant-something-else"),
    ):
        grant = ring.admit(*headers)
        assert (grant.tenant, grant.key_name) == ("acme", "app")
    for headers in (
        (None, None),
        (None, b""),
        (b"Basic " + secret.encode(), None),
        (b"Basic abc", secret.encode()),  # what Authorization says counts
        (bearer(secret[:-1]), None),
        (bearer(hash_of(secret.encode())), None),
        (None, b"Bearer " + secret.encode()),
        (b"", None),
        (b"Bearer", None),
        (b"Bearer \xff\x00", None),
    ):
        assert refused(ring, *headers).status == 401


def test_a_key_ends_when_it_expires_without_anybody_looking(ledger, ring, clock):
    secret = create_key(ledger, "app", tenant="acme", now_s=1000.0, expires_at_s=1010.0)
    ring.load(ledger)
    clock.at_s = 1009.9
    ring.admit(bearer(secret))
    clock.at_s = 1010.0
    assert refused(ring, bearer(secret)).code == "expired_api_key"


def test_a_key_is_for_what_it_was_made_for(ledger, ring):
    plain = create_key(ledger, "plain", tenant="t", now_s=1.0, models=("small",))
    admin = create_key(ledger, "admin", tenant="t", now_s=1.0, scopes=("admin",))
    ring.load(ledger)
    assert ring.admit(bearer(admin), scope="admin").key_name == "admin"
    assert refused(ring, bearer(admin)).status == 403
    assert refused(ring, bearer(plain), scope="admin").status == 403
    grant = ring.admit(bearer(plain))
    grant.check_model("small")
    with pytest.raises(Refusal) as caught:
        grant.check_model("large")
    assert (caught.value.status, caught.value.code) == (403, "model_not_found")
    ring.admit(bearer(admin), scope="admin").check_model("large")


def test_nobody_administers_an_open_gateway_without_a_key(ring):
    assert ring.admit(None) is LOCAL_GRANT
    assert refused(ring, None, scope="admin").status == 403


def test_rotation_keeps_the_old_secret_for_its_grace_only(ledger, ring, clock):
    first = create_key(ledger, "app", tenant="acme", now_s=1000.0, rpm=5, budget_usd=1.0)
    second = rotate_key(ledger, "app", now_s=1000.0, grace_s=60.0)
    ring.load(ledger)
    old, new = ring.admit(bearer(first)), ring.admit(bearer(second))
    assert (old.caps, old.accounts) == (new.caps, new.accounts)  # one limit, one budget for both
    clock.at_s = 1060.0  # between two refreshes, too
    assert refused(ring, bearer(first)).status == 401
    ring.admit(bearer(second))
    third = rotate_key(ledger, "app", now_s=1060.0, grace_s=60.0)
    fourth = rotate_key(ledger, "app", now_s=1061.0, grace_s=60.0)
    ring.load(ledger)
    assert (
        refused(ring, bearer(second)).status == 401
    )  # a second rotation ends the first one's grace
    ring.admit(bearer(third))
    ring.admit(bearer(fourth))
    fifth = rotate_key(ledger, "app", now_s=1062.0, grace_s=0.0)
    ring.load(ledger)
    assert refused(ring, bearer(fourth)).status == 401
    ring.admit(bearer(fifth))
    revoke_key(ledger, "app", now_s=1063.0)
    ring.load(ledger)
    assert refused(ring, bearer(fifth)).status == 401
    with pytest.raises(UnknownName):
        rotate_key(ledger, "app", now_s=1064.0)


def test_every_deed_is_in_the_chain_and_no_secret_is(ledger):
    made = [create_key(ledger, "app", tenant="acme", now_s=1.0, rpm=7, budget_usd=2.5)]
    made.append(rotate_key(ledger, "app", now_s=2.0))
    revoke_key(ledger, "app", now_s=3.0)
    entries = ledger.read(AuditEntry)
    assert [e.action for e in entries] == ["key.create", "key.rotate", "key.revoke"]
    assert entries[0].detail == {
        "tenant": "acme", "scopes": ["inference"], "rpm": 7, "budget_usd": 2.5, "budget_period": "total",
    }  # fmt: skip
    assert first_broken(entries) is None
    forged = [entries[0], replace(entries[1], subject="other"), entries[2]]
    assert first_broken(forged) is forged[1]
    for secret in made:
        assert secret not in repr(entries) + repr(ledger.read(VirtualKey))
        assert hash_of(secret.encode()) not in repr(entries)


def test_two_who_make_the_same_key_do_not_overwrite_each_other(ledger):
    ledger.acquire("virtual-key:app", "somebody", 30.0, 1.0)
    with pytest.raises(LeaseHeld):
        create_key(ledger, "app", tenant="acme", now_s=2.0)
    create_key(ledger, "app", tenant="acme", now_s=40.0)  # who held it is long dead


def test_what_tenants_share_is_beside_what_keys_have(ledger, clock):
    secret = create_key(
        ledger, "app", tenant="acme", now_s=1.0, rpm=5, budget_usd=2.0, account="team"
    )
    other = create_key(ledger, "other", tenant="acme", now_s=1.0)
    policy = TenantPolicy(rpm=100, tpm=5000, budget_usd=10.0, budget_period="month")
    ring = KeyRing(True, tenants={"acme": policy}, now=clock)
    ring.load(ledger)
    grant = ring.admit(bearer(secret))
    assert grant.caps == (Cap("key:app", 5, None), Cap("tenant:acme", 100, 5000))
    assert [(a.name, a.limit, a.period) for a in grant.accounts] == [
        ("account:team", 2_000_000_000, "total"),
        ("tenant:acme", 10_000_000_000, "month"),
    ]
    assert ring.admit(bearer(other)).caps == (Cap("tenant:acme", 100, 5000),)


def test_a_key_that_did_not_change_keeps_its_grant_over_a_refresh(ledger, ring):
    secret = create_key(ledger, "app", tenant="acme", now_s=1.0)
    ring.load(ledger)
    before = ring.admit(bearer(secret))
    create_key(ledger, "another", tenant="acme", now_s=2.0)
    ring.load(ledger)
    assert ring.admit(bearer(secret)) is before


@pytest.mark.parametrize(
    "wrong",
    [
        {"rpm": 0}, {"tpm": -1}, {"budget_usd": -0.5}, {"budget_usd": float("nan")},
        {"budget_usd": 1.0, "budget_period": "year"}, {"scopes": ("root",)}, {"scopes": ()},
        {"expires_at_s": 0.5}, {"account": "a b", "budget_usd": 1.0}, {"account": "team"},
    ],
    ids=str,
)  # fmt: skip
def test_allowances_that_cannot_be_meant(ledger, wrong):
    with pytest.raises(ConfigError):
        create_key(ledger, "app", tenant="acme", now_s=1.0, **wrong)
    assert ledger.read(VirtualKey) == []
    assert ledger.read(AuditEntry) == []


@pytest.mark.parametrize(
    "weak",
    [
        "", "admin", "sk-1234", "sk-tf-", "password1234password1234", "a" * 64, "abab" * 16,
        "abcdefghijklmnopqrstuvwxyz0123456789", "changeme-changeme-changeme", "1234567890" * 5,
        "qwertyuiopasdfghjklzxcvbnm123456", "MasterAdminSecretTokenDefault2026!", "kurz-Aber-9xZ!",
        "has spaces in it 9f8e7d6c5b4a3f2e1d", "schlüssel-9f8e7d6c5b4a3f2e1d0cab",
    ],
)  # fmt: skip
def test_weak_admin_keys_are_refused_without_being_repeated(weak):
    with pytest.raises(ConfigError) as caught:
        check_admin_secret(weak, where="TENFOLD_ADMIN_KEY")
    assert not weak or weak not in str(caught.value).replace("admin key", "")
    assert "TENFOLD_ADMIN_KEY" in str(caught.value)


@settings(max_examples=15)
@given(st.binary(min_size=32, max_size=32).filter(lambda b: len(set(b)) > 24))
def test_random_admin_keys_are_taken(drawn):
    # As `openssl rand -base64 32`, `openssl rand -hex 32` and our own keys look.
    check_admin_secret(base64.b64encode(drawn).decode(), where="X")
    check_admin_secret("sk-tf-" + base64.urlsafe_b64encode(drawn).decode().rstrip("="), where="X")


def test_hex_and_uuid_admin_keys_are_taken():
    for _ in range(100):
        check_admin_secret(secrets.token_hex(32), where="X")


def test_what_tenants_share_can_be_changed_while_it_runs(ledger, clock):
    secret = create_key(ledger, "app", tenant="acme", now_s=1.0)
    ring = KeyRing(True, now=clock)
    ring.load(ledger)
    assert ring.admit(bearer(secret)).caps == ()
    ring.set_tenants({"acme": TenantPolicy(rpm=7)})
    ring.load(ledger)
    assert ring.admit(bearer(secret)).caps == (Cap("tenant:acme", 7, None),)
