"""PDFs: pages as records; passwords, broken cross references and blank pages each under their cause."""

from __future__ import annotations

import hashlib
import json

import pytest

PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
IDENTITY = b"0123456789abcdef"


@pytest.fixture(autouse=True)
def _pdfium(require):
    try:
        import pypdfium2
    except ModuleNotFoundError:
        pypdfium2 = None
    require(pypdfium2, "pypdfium2")


def rc4(key: bytes, data: bytes) -> bytes:
    state, j, made = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        made.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(made)


def locked(password: bytes) -> bytes:
    """The encryption dictionary of the standard handler, revision 2 (PDF 32000-1, 7.6.3)."""
    padded = (password + PADDING)[:32]
    owner = rc4(hashlib.md5(padded).digest()[:5], padded)
    key = hashlib.md5(padded + owner + (-4).to_bytes(4, "little", signed=True) + IDENTITY).digest()[
        :5
    ]
    user = rc4(key, PADDING)
    return b"<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % (
        owner.hex().encode(),
        user.hex().encode(),
    )


def pdf(*pages: str, password: bytes | None = None) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    kids = []
    for text in pages:
        drawn = b"BT /F 12 Tf 50 700 Td (%s) Tj ET" % text.encode() if text else b""
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R/Resources<</Font<</F 3 0 R>>>>>>"
            % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    objects.append(b"<</Title(A title)/ModDate(D:20190731120000Z)>>")
    info, more = len(objects), b""
    if password is not None:
        objects.append(locked(password))
        more = b"/Encrypt %d 0 R/ID[<%s><%s>]" % (len(objects), *[IDENTITY.hex().encode()] * 2)
    data, offsets = b"%PDF-1.4\n", []
    for number, held in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, held)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer<</Size %d/Root 1 0 R/Info %d 0 R%s>>\nstartxref\n%d\n%%%%EOF"
    return data + table + trailer % (len(objects) + 1, info, more, len(data))


def test_a_record_a_page(put, read):
    found = read(kind="pdf", path=put("a.pdf", pdf("First page", "", "Third page")))
    assert [(one["place"], one["text"]) for one in found.records] == [
        ("a.pdf#page=1", "First page"), ("a.pdf#page=3", "Third page"),
    ]  # fmt: skip
    assert [(one.place, one.cause) for one in found.quarantined] == [("a.pdf#page=2", "empty")]
    assert found.records[0]["time"].isoformat() == "2019-07-31T12:00:00+00:00"
    assert json.loads(found.records[0]["meta"])["title"] == "A title"


def test_a_record_a_document(put, read):
    found = read(kind="pdf", unit="document", path=put("a.pdf", pdf("One", "Two")))
    assert found.texts == ["One\n\nTwo"]


def test_passwords_and_broken_references(put, read, tmp_path):
    whole = pdf("Still here")
    put("p/locked.pdf", pdf("Secret", password=b"open sesame"))
    put("p/moved.pdf", whole.replace(b"startxref\n", b"startxref\n9"))
    put("p/cut.pdf", whole[:200])
    put("p/page.pdf", b"<html>no PDF</html>")
    put("p/good.pdf", whole)
    found = read(kind="pdf", path=str(tmp_path / "p"))
    assert {one.place: one.cause for one in found.quarantined} == {
        "locked.pdf": "password", "cut.pdf": "corrupt", "page.pdf": "corrupt",
    }  # fmt: skip
    assert [one["place"] for one in found.records] == ["good.pdf#page=1", "moved.pdf#page=1"]


def test_an_empty_password_is_none(put, read):
    found = read(kind="pdf", path=put("a.pdf", pdf("", password=b"")))
    assert found.causes == ["empty"]
