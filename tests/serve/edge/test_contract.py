"""What origins say and edges read; tokens; the store of the Python edge against a plain model."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import ConfigError, InputError
from tenfold.serve.edge.asgi_store import Entry, Store
from tenfold.serve.edge.contract import (
    ESI,
    NOT_STORED,
    SLOTS,
    SSI,
    SurrogateControl,
    credential_of,
    key_of_credential,
    parse_control,
    partition_of,
    surrogate_keys,
)
from tenfold.serve.edge.origin import surrogate_headers
from tenfold.serve.edge.secrets import EdgeSecrets, load_secrets, new_secrets, write_secrets
from tenfold.serve.edge.slots import sign, verify

SECONDS = st.integers(0, 10**9 - 1)
CONTROL = st.builds(
    SurrogateControl,
    max_age_s=SECONDS,
    stale_while_revalidate_s=SECONDS,
    stale_if_error_s=SECONDS,
    content=st.sampled_from([None, SSI, ESI, SLOTS]),
)


@given(CONTROL)
def test_what_is_said_is_understood(control):
    assert parse_control(control.line()) == control


@pytest.mark.parametrize(
    "line",
    [b"", b"no-store", b"max-age=60, no-store", b"max-age=-1", b"max-age=1e3", b"max-age=60, private",
     b'max-age=60, content="PHP/8"', b"max-age=99999999999", b"max-age==60", b'max-age=60, content="x'],
)  # fmt: skip
def test_what_is_not_understood_is_not_kept(line):
    assert not parse_control(line).stored


@given(st.binary(max_size=60))
def test_no_bytes_break_it(line):
    assert isinstance(parse_control(line), SurrogateControl)


def test_header_lines_of_a_template_vouch_for_nothing():
    plain = surrogate_headers(SurrogateControl(max_age_s=9), ["a", "b"], etag='"e"', vary=b"accept")
    assert plain == (
        b"surrogate-control: max-age=9\r\nsurrogate-key: a b\r\n"
        b'cache-control: no-cache\r\netag: "e"\r\nvary: accept\r\n'
    )
    template = surrogate_headers(SurrogateControl(max_age_s=9, content=SSI), etag='"e"')
    assert b"etag" not in template
    assert b"cache-control: private, no-store\r\n" in template
    for bad in ("a b", "", "a\r\nx: y", "ü", "k" * 101):
        with pytest.raises(InputError):
            surrogate_keys([bad])


def test_partitions_follow_the_credentials():
    assert partition_of(b"", b"") == "anonymous"
    every = [(b"Bearer a", b""), (b"", b"Bearer a"), (b"Bearer b", b""), (b"Bearer a", b"b")]
    assert len({partition_of(*one) for one in every}) == len(every)
    assert credential_of(b"Bearer sk-1", b"") == credential_of(b"", b"sk-1") == b"sk-1"
    digest = hashlib.sha256(b"sk-1").hexdigest()
    assert surrogate_keys([key_of_credential(digest)]).decode() == "key-" + digest[:16]


VALUES = st.dictionaries(st.sampled_from(["name", "city"]), st.text(max_size=80))


@given(VALUES, st.integers(0, 10**10))
def test_a_token_says_what_was_signed_until_it_is_old(values, expires_s):
    token = sign(values, b"k" * 32, expires_s=expires_s)
    seen = verify(token, [b"x" * 32, b"k" * 32], expires_s - 1)
    assert seen.keys() == values.keys()
    assert verify(token, [b"k" * 32], expires_s) == {}
    assert verify(token, [b"x" * 32], expires_s - 1) == {}


def test_a_token_is_made_as_written_down():
    """By hand, from the words in docs/edge.md."""
    plain = json.dumps({"exp": 2_000_000_000, "slots": {"name": "Zoë"}}).encode()
    payload = b"v1." + base64.urlsafe_b64encode(plain).rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.new(b"k" * 32, payload, "sha256").digest()).rstrip(b"=")
    assert verify((payload + b"." + mac).decode(), [b"k" * 32], 1e9) == {"name": "Zoë"}


@given(st.text(max_size=60), st.integers(0, 200), st.characters())
def test_no_other_token_says_anything(noise, at, char):
    token = sign({"name": "ann"}, b"k" * 32, expires_s=2 * 10**9)
    broken = token[:at] + char + token[at + 1 :]
    for other in (noise, "v1." + noise, broken):
        if other != token:
            assert verify(other, [b"k" * 32], 1e9) == {}


def test_secrets_are_kept_from_others(tmp_path):
    secrets = new_secrets()
    path = tmp_path / "secrets.json"
    path.write_text("old")
    path.chmod(0o644)
    write_secrets(path, secrets)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_secrets(path) == secrets
    assert secrets.purge not in repr(secrets)
    for bad in ("{}", "[]", "nothing", '{"slots":["short"],"purge":"x"}'):
        path.write_text(bad)
        with pytest.raises(ConfigError):
            load_secrets(path)
    with pytest.raises(ConfigError):
        EdgeSecrets((), secrets.purge)


def _entry(keys: frozenset[bytes], size: int) -> Entry:
    return Entry(200, [], b"x" * size, None, b"", keys, (), NOT_STORED, 0.0)


KEYS = st.frozensets(st.sampled_from([b"a", b"b", b"c"]))
ORDER = st.one_of(
    st.tuples(
        st.just("put"), st.sampled_from([b"1", b"2", b"3", b"4"]), KEYS, st.integers(0, 9000)
    ),
    st.tuples(st.just("purge"), KEYS),
    st.tuples(st.just("get"), st.sampled_from([b"1", b"2", b"3", b"4"])),
)


@given(st.lists(ORDER, max_size=60))
def test_the_store_keeps_to_its_bounds_and_forgets_what_was_purged(orders):
    store = Store(max_entries=3, max_bytes=12_000)
    said: dict[bytes, Entry] = {}
    for order in orders:
        if order[0] == "put":
            said[order[1]] = _entry(order[2], order[3])
            store.put(order[1], said[order[1]], store.serial)
        elif order[0] == "purge":
            store.purge(order[1])
            said = {w: e for w, e in said.items() if not e.keys & order[1]}
        else:
            assert store.get(order[1], {}) in (None, said.get(order[1]))
        assert len(store) <= 3
        assert store.num_bytes <= 12_000
        if order[0] == "put" and order[3] < 9000:
            assert store.get(order[1], {}) is said[order[1]]


def test_what_was_asked_before_a_purge_is_not_kept_after_it():
    store = Store(10, 10**6)
    before = store.serial
    store.purge([b"k"])
    store.put(b"w", _entry(frozenset([b"k"]), 1), before)
    assert store.get(b"w", {}) is None
    store.put(b"w", _entry(frozenset([b"other"]), 1), before)
    assert store.get(b"w", {}) is not None
