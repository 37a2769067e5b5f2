"""Personal data with a shape: checks against labelled sentences, checksums and properties."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core import pii

LABELS = {
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "card",
    "US_SSN": "ssn",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
    "DOMAIN_NAME": "url",
}


def test_finds_nearly_all_labelled_spans_and_little_else(shared):
    """presidio-research's synthetic sentences: seven of its entity types have a shape."""
    file = shared / "pii" / "synth_dataset_v2.json.gz"
    labelled, caught, hits, right = Counter(), Counter(), Counter(), Counter()
    for row in json.loads(gzip.decompress(file.read_bytes())):
        found = pii.find(row["full_text"], (*pii.KINDS, "url"))
        gold = [
            (span["start_position"], span["end_position"], LABELS[span["entity_type"]])
            for span in row["spans"]
            if span["entity_type"] in LABELS
        ]
        for start, end, kind in gold:
            labelled[kind] += 1
            caught[kind] += any(f.kind == kind and f.start <= start and f.end >= end for f in found)
        for f in found:
            hits[f.kind] += 1
            right[f.kind] += any(
                k == f.kind and f.start < end and start < f.end for start, end, k in gold
            )
    assert set(labelled) == {*pii.KINDS, "url"}
    for kind in labelled:
        assert caught[kind] >= (0.93 if kind == "phone" else 0.99) * labelled[kind], kind
        assert right[kind] >= 0.95 * hits[kind], kind


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "write to jörg.müller+list@mail.example-shop.de, please"),
        ("email", "brett [at] python.org"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "pay to nl91abna0417164300."),
        ("card", "card 4111 1111 1111 1111 expires"),
        ("card", "378282246310005"),
        ("ip", "from 93.184.216.34:443"),
        ("ip", "host 8.8.8.8 answers"),
        ("ip", "at 2606:2800:220:1:248:1893:25c8:1946 now"),
        ("ip", "[2606:4700::1111]"),
        ("phone", "+49 (0)30 901820"),
        ("phone", "(212) 555-0187"),
        ("phone", "Tel.: 030 901820"),
        ("ssn", "536-90-4399"),
        ("ssn", "SSN 536904399"),
        ("email", "anna.berg@example.org"),  # a person's name, whoever owns the host
        ("phone", "my wife's contact is 9842601815"),
        ("phone", "(+370) 26018159"),
        ("phone", "089/1234567"),
        ("phone", "(11) 91234-5678"),
        ("phone", "08-26 01 81"),
        ("phone", "8 (246) 281-94-82"),
        # addresses as the standards print them: BIP-173, BIP-350, EIP-55, and Bitcoin's first block
        ("wallet", "to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("wallet", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
        ("wallet", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ("wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("mac", "from 3c:22:fb:7a:91:0e"),
        ("mac", "interface 3c22.fb7a.910e up"),
        ("passport", "Reisepass Nr. C01X00T47"),
        ("passport", "his passport number is 533380006"),
        ("url", "see https://web.de:8080/a?b=c#d."),
        ("url", "(www.müller-söhne.de)"),
        ("url", "visit heise-shop.com/cart today"),
    ],
)
def test_finds(kind, text):
    assert [span.kind for span in pii.find(text, pii.EVERY)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com and root@localhost",  # nobody's (RFC 2606)
        "@decorator.name",
        "DE89 3704 0044 0532 0130 01",  # checksum
        "4111 1111 1111 1112",  # checksum
        "build 1234567890123456",
        "127.0.0.1, 0.0.0.0, 192.0.2.7, 10.0.0.0/8",
        "version 93.184.216.34, kernel 2.6.18.6, section 3.2.1.4",
        "1.2.3.4.5 and 300.1.1.1",
        "at 12:34:56, std::vector, a::b, 2001:db8::1 and ::1",
        "2001-04-13 12:20:39",
        "666-12-3456 and 000-12-3456 and 123-00-4567",
        "pi is 3.14159265358979",
        "+000000120 aligned",
        "EAN 6739196764697, ISBN 978-3-16-148410-0, order 905-674-3793",
        "CriOS/24.0.801.0 Mobile/33U172",
        "OK 00690 1987-05-20",
        "Ticks : 638586236835683086",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "ff:ff:ff:ff:ff:ff and 00:00:00:00:00:00 and 12:34:56",
        "the passport office opened in 1998",
        "setup.py, run.sh, e.g. this, a.b.c",
    ],
)
def test_leaves_alone(text):
    assert pii.find(text, pii.EVERY) == []


def test_every_wrong_digit_breaks_an_iban():
    """ISO 7064 mod 97-10 detects all single substitutions."""
    good = "GB82WEST12345698765432"
    assert pii.iban_valid(good)
    for place in range(4, len(good)):
        for digit in "0123456789":
            if good[place].isdigit() and digit != good[place]:
                assert not pii.iban_valid(good[:place] + digit + good[place + 1 :])


def test_redact_names_the_kind_and_counts():
    text = "mail a.b@c.org or b@c.org from 93.184.216.34"
    assert pii.redact_counted(text) == ("mail [EMAIL] or [EMAIL] from [IP]", {"email": 2, "ip": 1})
    assert pii.redact(text, ["ip"]) == "mail a.b@c.org or b@c.org from [IP]"


PIECES = st.sampled_from(
    [
        "a@b.org",
        "x",
        "@",
        ".",
        "-",
        " ",
        "+",
        "\n",
        "phone: ",
        "SSN ",
        "card ",
        "fax",
        "[EMAIL]",
        "(212) ",
        "5",
        "19",
        "ä",
        ":",
        "0490 75 40 81",
        "905-674-3793",
        "4111111111111111",
        "93.184.216.34",
        "536-90-4399",
        "DE89370400440532013000",
        "2606:4700::1111",
        "3c:22:fb:7a:91:0e",
        "passport C01X00T47",
        "www.a-b.de",
        "https://",
        "\0",
        "call ",
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@given(st.lists(TEXTS, max_size=5))
def test_many_texts_at_once_give_what_each_gives_alone(texts):
    assert pii.find_many(texts, pii.EVERY) == [pii.find(text, pii.EVERY) for text in texts]


@given(TEXTS)
def test_redaction_leaves_nothing_to_find_and_touches_nothing_else(text):
    spans = pii.find(text, pii.EVERY)
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    redacted, counts = pii.redact_counted(text, pii.EVERY)
    assert pii.find(redacted, pii.EVERY) == []
    assert bool(counts) == bool(spans)
    at = 0  # what stood before, between and after the spans is still there, in this order
    for piece in _outside(text, spans, redacted, counts):
        at = redacted.index(piece, at) + len(piece)


def _outside(text, spans, redacted, counts):
    if counts.total() != len(spans):  # a second round took more: only single rounds map one to one
        return []
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(text)]
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]


def test_long_hostile_text_is_quick_to_search():
    """Patterns must not go quadratic: three megabytes of near misses, well inside the suite's limit."""
    for piece in (
        "a.",
        "1 ",
        "1-",
        "1.1.",
        "a@",
        "::",
        "phone ",
        "+1 ",
        "07 ",
        "www.",
        "://",
        "aa:",
    ):
        pii.find(piece * (300_000 // len(piece)), pii.EVERY)
