"""Templates and escaping, against the parsers that will read the pages."""

from __future__ import annotations

import html.parser
import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import InputError
from tenfold.serve.edge.contract import ESI, SLOTS, SSI
from tenfold.serve.edge.escaping import CONTEXTS, escape
from tenfold.serve.edge.origin import suited
from tenfold.serve.edge.slots import clean, decode, encode
from tenfold.serve.edge.templates import Slot, Template, parse

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
NASTY = st.sampled_from(
    [
        "{{slot:",
        "}}",
        "|",
        "{{slot:}}",
        "<!--#",
        "<esi:include",
        "<!--esi",
        "<",
        '"',
        "\\",
        "%",
        "{{",
    ]
)
LITERAL = st.lists(TEXT | NASTY, max_size=4).map(lambda parts: "".join(parts).encode())
SLOT = st.builds(
    Slot,
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(CONTEXTS),
    (TEXT | NASTY).filter(lambda text: len(text.encode()) <= 400),
)
TEMPLATE = st.lists(LITERAL | SLOT, max_size=6).map(Template)


@given(TEMPLATE)
def test_the_neutral_form_is_read_back(template):
    assert parse(template.neutral()) == template


@given(LITERAL)
def test_text_without_slots_is_itself(text):
    assert Template([text]).fill({}) == text
    assert parse(Template([text]).neutral()).fill({}) == text


@given(st.lists(TEXT | NASTY, max_size=4).map("".join))
def test_what_is_no_slot_is_no_directive(text):
    """Whatever a model wrote, the servers' own forms hold only the directives that stand for `<`."""
    ssi, esi = Template([text.encode()]).ssi().decode(), Template([text.encode()]).esi().decode()
    mark = '<!--# echo var="tf_lt" encoding="none" default="" -->'
    assert "<!--#" not in ssi.replace(mark, "\N{BULLET}")
    assert ssi.replace(mark, "<") == text.replace(mark, "<") or mark in text
    mark = '<esi:include src="/.tenfold/slot/lt"/>'
    if mark not in text:
        left = esi.replace(mark, "\N{BULLET}").lower()
        assert not any(word in left for word in ("<esi:", "</esi:", "<!--esi", "<![cdata["))
        assert esi.replace(mark, "<") == text


@given(TEXT | NASTY)
def test_a_value_is_what_the_page_says(value):
    assert json.loads(f'"{escape(value, "json")}"') == value
    script = escape(value, "js")
    assert json.loads(f'"{script}"') == value
    assert not set(script) & set("<>&'`$\u2028\u2029\n\r")
    assert unquote(escape(value, "url"), errors="strict") == value
    assert not set(escape(value, "url")) & set("&?=#/+ <>\"'%") - {"%"}
    page = _Page(f'<p title="{escape(value, "attr")}">{escape(value, "html")}</p>')
    assert (page.title, page.text, page.tags) == (value, value, ["p"])
    assert _Page(f"<p title='{escape(value, 'attr')}'></p>").title == value


class _Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text, self.title = "", ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.title = dict(attrs)["title"]

    def handle_data(self, data):
        self.text += data


@given(TEMPLATE, st.dictionaries(st.sampled_from(["a", "b", "name"]), TEXT))
def test_an_empty_value_is_the_default(template, values):
    given_empty = {**dict.fromkeys((slot.name for slot in template.slots), ""), **values}
    assert template.fill(given_empty) == template.fill(values)
    defaults = {slot.name: slot.default for slot in template.slots}
    if len({(s.name, s.default) for s in template.slots}) == len({s.name for s in template.slots}):
        assert template.fill({}) == template.fill(defaults)


@given(TEXT)
def test_a_header_carries_any_text(value):
    header = encode(value)
    assert header.isascii()
    assert header.decode().isprintable()
    assert decode(header) == value


def test_nul_and_surrogates_become_the_replacement_character():
    assert clean("a\0b\ud800c") == "a\ufffdb\ufffdc"
    assert decode(b"a%00") == "a\ufffd"
    assert decode(b"%ED%A0%80") is None
    with pytest.raises(InputError):
        encode("x" * 1025)


def test_a_marker_inside_a_json_string_leaves_it_valid():
    template = Template([b'{"a":"', Slot("name", "json", '"}\n\\'), b'"}'])
    assert json.loads(template.neutral())["a"].startswith("{{slot:name|json|")
    assert json.loads(template.fill({})) == {"a": '"}\n\\'}


@pytest.mark.parametrize(
    "text", [b"{{slot:", b"{{slot:A|json|}}", b"{{slot:a|sql|}}", b"{{slot:a|json|\"}}", b"{{slot:a|json|%ff}}"]
)  # fmt: skip
def test_a_broken_marker_is_told_with_its_place(text):
    with pytest.raises(InputError) as caught:
        parse(b"abc" + text)
    assert caught.value.where == "byte 3"


def test_each_asker_gets_the_form_it_can_process():
    template = Template([b"Hello ", Slot("name", "html", "you")])
    for capability, form, content in [
        (b'tenfold="SSI/1.0"', template.ssi(), SSI),
        (b'tenfold="ESI/1.0"', template.esi(), ESI),
        (b'tenfold="tenfold-slots/1"', template.neutral(), SLOTS),
        (b"", b"Hello <you>", None),
    ]:
        if content is None:
            form = b"Hello &lt;you&gt;"
            assert suited(template, capability, {"name": "<you>"}) == (form, None)
        else:
            assert suited(template, capability) == (form, content)
