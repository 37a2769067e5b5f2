"""One suite for all edges: real nginx, real varnishd and our own, before an origin that counts its calls."""

from __future__ import annotations

import asyncio
import hashlib
import html.parser
import json
import random
import time
import uuid
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

HOSTILE = [
    "Zoë", 'quote " and \' and \\ back', "</script><script>alert(1)</script>", "line\nbreak\r\n\ttab",
    "100%25 %zz %", "&amp; <b> & `tick` ${x}", "\u2028\u2029", "<!--# echo var='x' --><esi:include src='/'/>",
    "日本 🙂 \x7f\x01\x1f", "{{slot:name|json|}}", "a+b c", "x" * 700, "-", "ünïcödé " * 40,
]  # fmt: skip


@pytest.fixture
def page() -> str:
    """A URL that nobody asked before."""
    return f"/v1/{uuid.uuid4().hex}"


def ask(client, path, body=None, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(path, headers=names) if body is None else client.post(path, content=body, headers=names)  # fmt: skip


def until(check, seconds=8.0):
    """Asks again until it is so: background work has no other sign."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.05)


def test_a_hit_after_a_miss_is_the_same_answer_and_no_call(client, origin, page):
    first, second = (ask(client, page, b'{"a":1}') for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert first.json()["sha"] == hashlib.sha256(b'{"a":1}').hexdigest()
    assert first.json()["evil"].startswith("<!--# echo")  # a plain answer is never processed
    assert (first.headers["x-tenfold-edge"], second.headers["x-tenfold-edge"]) == ("MISS", "HIT")
    assert origin.calls[page] == 1


def test_fifty_at_once_are_one_call_and_each_gets_his_own_page(edge, origin, page):
    async def go():
        async with httpx.AsyncClient(timeout=20, limits=httpx.Limits()) as client:
            return await asyncio.gather(
                *(
                    client.post(
                        f"{edge.url}{page}?form=template&delay=0.3",
                        content=b"same",
                        headers=edge.user(name=f"user{n}"),
                    )
                    for n in range(50)
                )
            )

    answers = asyncio.run(go())
    assert [a.json()["hello"] for a in answers] == [f"user{n}" for n in range(50)]
    assert origin.calls[page] == 1


@pytest.mark.parametrize("size", [10, 31_000, 33_000, 100_000, 1_000_000])
def test_two_bodies_never_share_an_answer(client, page, size):
    """nginx has no text of a body that it spilled to disk: two of 100 kB once got one answer."""
    bodies = [b"x" * size + tail for tail in (b"a", b"b")]
    for _ in range(2):
        for body in bodies:
            assert ask(client, page, body).json()["sha"] == hashlib.sha256(body).hexdigest()


def test_bodies_in_chunks_never_share_an_answer(client, page):
    for body in (b"one" * 20_000, b"two" * 20_000, b"three"):
        answer = client.post(page, content=iter([body[:3], body[3:]]))
        assert answer.json()["sha"] == hashlib.sha256(body).hexdigest()


def test_tenants_addresses_and_methods_are_apart(client, origin, page):
    asked = [
        ("POST", page, {"authorization": "Bearer a"}), ("POST", page, {"authorization": "Bearer b"}),
        ("POST", page, {"x-api-key": "Bearer a"}), ("POST", page, {}), ("GET", page, {}),
        ("POST", page + "?x=1", {}), ("POST", page, {"host": "other.example"}),
    ]  # fmt: skip
    for _ in range(2):
        seen = []
        for method, url, headers in asked:
            body = b"b" if method == "POST" else None
            answer = client.request(method, url, headers=headers, content=body).json()
            assert answer["who"] == next(iter([v for k, v in headers.items() if k != "host"]), "")
            seen.append(answer["call"])
        assert len(set(seen)) == len(asked)
    assert origin.calls[page] == len(asked)


def test_variants_are_apart(client, page):
    for _ in range(2):
        calls = [
            ask(client, page + "?vary=x-kind", b"", x_kind=kind).json()["call"] for kind in "ab"
        ]
        assert calls == [1, 2]


def test_head_is_answered_from_the_page(client, origin, page):
    ask(client, page)
    answer = client.head(page)
    assert answer.status_code == 200
    assert answer.content == b""
    assert origin.calls[page] == 1


@pytest.mark.parametrize("how", ["user", "hop"])
def test_hostile_values_reach_every_place_whole(edge, client, page, how):
    for value in HOSTILE:
        headers = getattr(edge, how)(name=value, city=value, long_note=value)
        answer = client.post(f"{page}?form=template", content=b"", headers=headers)
        said = answer.json()
        assert (said["hello"], said["city"], said["note"]) == (value, value, value)
        assert said["evil"] == '<!--# include virtual="/x" --><esi:include src="/x"/>{{slot:'
        shown = client.get(f"{page}?form=html", headers=headers)
        found = Page(shown.text)
        assert (found.text, found.title) == (value, value)
        query = parse_qs(urlsplit(found.href).query, keep_blank_values=True)
        assert (query["q"], query["c"]) == ([value], [value])
        assert found.tags == ["p", "a", "script"]
        script = found.script.removeprefix('var v = "').removesuffix('";')
        assert json.loads(f'"{script}"') == value
        assert not set(script) & set("<>&'`$\u2028\u2029")


class Page(html.parser.HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = self.script = self.title = self.href = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "a":
            said = dict(attrs)
            self.title, self.href = said["title"], said["href"]

    def handle_data(self, data):
        if self.tags[-1:] == ["p"]:
            self.text += data
        elif self.tags[-1:] == ["script"]:
            self.script += data


def test_nul_and_bytes_that_are_no_text(edge, client, page):
    url = f"{page}?form=template"
    assert client.get(url, headers=edge.user(name="a\0b")).json()["hello"] == "a\ufffdb"
    for raw, seen in [
        ("a%00b", "a\ufffdb"), ("%ff%fe", 'you "there"'), ("%C3", 'you "there"'), ('a"b', 'you "there"'),
        ("%ED%A0%80", 'you "there"'), ("", 'you "there"'), ("Zo%c3%ab", "Zoë"),
    ]:  # fmt: skip
        assert client.get(url, headers={"x-tenfold-slot-name": raw}).json()["hello"] == seen, raw


def test_a_slot_without_a_value_shows_its_default_escaped(client, page):
    said = client.get(f"{page}?form=template").json()
    assert (said["hello"], said["city"], said["html"]) == ('you "there"', "", "d")
    found = Page(client.get(f"{page}?form=html").text)
    assert (found.text, found.title, found.href) == ("<you>", "'", "/?q=&c=a%26b")


def test_a_stranger_cannot_set_slots(edge, stranger, origin, page):
    for name in ("X-Tenfold-Slot-Name", "x-tenfold-slot-name", "X_Tenfold_Slot_Name"):
        said = stranger.get(f"{page}?form=template", headers={name: "mallory"}).json()
        assert said["hello"] == 'you "there"'
    forged = edge.user(name="mallory")
    if "x-tenfold-slots" in forged:
        token = forged["x-tenfold-slots"]
        assert stranger.get(f"{page}?form=template", headers=forged).json()["hello"] == "mallory"
        head, payload, mac = token.split(".")
        for bad in (
            f"{head}.{payload}.{mac[:-2]}AA", f"{head}.{payload[:-1]}.{mac}", "v1..", "", "v1.e30.e30",
            "x" * 3000, token + "." + mac,
        ):  # fmt: skip
            said = stranger.get(f"{page}?form=template", headers={"x-tenfold-slots": bad}).json()
            assert said["hello"] == 'you "there"'
        said = stranger.get(f"{page}?form=template", headers={"cookie": f"tenfold_slots={token}"})
        assert said.json()["hello"] == "mallory"
    stranger.put(page, content=b"x", headers={"X-Tenfold-Slot-Name": "mallory", "cookie": "a=b"})
    for head in origin.asked(page):
        assert not any(name.startswith("x-tenfold-slot") or name == "cookie" for name in head)


def test_an_old_token_fills_nothing(edge, stranger, page):
    from tenfold.serve.edge.slots import sign

    token = sign({"name": "x"}, edge.secrets.signing_keys[0], expires_s=int(time.time()) - 1)
    said = stranger.get(f"{page}?form=template", headers={"x-tenfold-slots": token}).json()
    assert said["hello"] == 'you "there"'


@pytest.mark.parametrize("form", ["template", "html"])
def test_a_filled_page_is_private_and_has_no_validator(edge, client, origin, page, form):
    url = f"{page}?form={form}&ttl=60&keys=k1"
    client.get(url)
    etag = origin.etags[page]
    for _ in range(2):
        answer = client.get(url, headers=edge.user(name="ann") | {"if-none-match": etag})
        assert answer.status_code == 200
        assert {x.strip() for x in answer.headers["cache-control"].split(",")} == {"private", "no-store"}  # fmt: skip
        for name in ("etag", "last-modified", "surrogate-control", "surrogate-key", "xkey", "age"):
            assert name not in answer.headers
        assert not any(name.startswith("x-tf") for name in answer.headers)
    assert origin.calls[page] == 1


def test_a_plain_page_is_validated_and_keeps_its_own_cache_control(client, origin, page):
    first = ask(client, page + "?keys=k2")
    assert first.headers["cache-control"] == "max-age=5"
    assert "surrogate-key" not in first.headers
    again = client.get(page + "?keys=k2", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert origin.calls[page] == 1


def test_an_expired_page_is_checked_with_the_origin(client, origin, page):
    url = page + "?ttl=1&count=0&keys=again"
    first = ask(client, url)
    until(lambda: ask(client, url).content == first.content and origin.calls[page] >= 2)
    assert [h["if-none-match"] for h in origin.asked(page)[1:2]] == [first.headers["etag"]]
    again = ask(client, url)
    assert (again.status_code, again.headers["etag"]) == (200, first.headers["etag"])


def test_purge_by_key_takes_what_has_it_and_nothing_else(client, origin, page, purge):
    here = uuid.uuid4().hex
    for n, keys in enumerate([f"a-{here},b-{here}", f"b-{here}", f"c-{here}"]):
        ask(client, f"{page}{n}?keys={keys}&form=template", b"body" * 1000)
    done = purge(f"a-{here}", f"unknown-{here}")
    assert (done.num_entries, done.error) == (1, None)
    assert purge(f"b-{here}").num_entries == 1
    for n in range(3):
        keys = [f"a-{here},b-{here}", f"b-{here}", f"c-{here}"][n]
        said = ask(client, f"{page}{n}?keys={keys}&form=template", b"body" * 1000).json()
        assert said["call"] == (1 if n == 2 else 2)


def test_a_soft_purge_serves_the_old_one_while_it_fetches(client, origin, page, purge):
    key = uuid.uuid4().hex
    url = f"{page}?keys={key}&swr=60"
    assert ask(client, url).json()["call"] == 1
    assert purge(key, soft=True).num_entries == 1
    assert ask(client, url).json()["call"] == 1
    until(lambda: ask(client, url).json()["call"] == 2)


def test_purging_needs_the_password_and_the_inside(edge, client, page, purge):
    key = uuid.uuid4().hex
    ask(client, f"{page}?keys={key}")
    for url in (edge.admin, edge.url):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer"}):
            answer = httpx.post(f"{url}/.tenfold/purge", headers=headers | {"surrogate-key": key})
            assert answer.status_code == 404
    assert ask(client, f"{page}?keys={key}").json()["call"] == 1
    assert purge(key).num_entries == 1


@pytest.fixture(scope="module")
def aged(edge):
    """Pages that were asked once and are no longer fresh; their names, by what was said of them."""
    said = {
        "revalidate": "ttl=1&swr=60",
        "ask": "ttl=1&swr=0&sie=60",
        "dead": "ttl=1&sie=60&form=template",
        "failing": "ttl=1&sie=60&form=template",
        "lost": "ttl=1",
    }
    made = {name: f"/v1/{uuid.uuid4().hex}?{wish}" for name, wish in said.items()}
    with httpx.Client(base_url=edge.url) as client:
        for url in made.values():
            assert client.post(url, content=b"q").json()["call"] == 1
    time.sleep(2.1)
    return made


def test_stale_while_revalidate(client, aged):
    url = aged["revalidate"]
    assert ask(client, url, b"q").json()["call"] == 1
    until(lambda: ask(client, url, b"q").json()["call"] == 2)


def test_too_old_is_not_given_unasked(client, aged):
    assert ask(client, aged["ask"], b"q").json()["call"] == 2


@pytest.mark.parametrize("how", ["dead", "failing"])
def test_stale_if_error_and_only_then(client, origin, aged, page, how):
    if how == "dead":
        origin.die()
    else:
        origin.failing = True
    try:
        for _ in range(3):
            answer = ask(client, aged[how], b"q")
            assert (answer.status_code, answer.json()["call"]) == (200, 1)
        for url in (aged["lost"], page):
            answer = ask(client, url, b"q")
            assert answer.status_code in (502, 503)
            assert "error" in answer.json()
    finally:
        if how == "dead":
            origin.resume()
        origin.failing = False
    until(lambda: ask(client, aged[how], b"q").json()["call"] > 1)
    until(lambda: ask(client, page, b"q").status_code == 200)


@pytest.mark.parametrize(
    "wish",
    ["status=500&trap=1", "status=404&trap=1", "status=429", "nostore=1", "cookie=1", "ttl=0"],
)
def test_what_may_not_be_kept_is_not(client, origin, page, wish):
    for number in (1, 2):
        ask(client, f"{page}?{wish}", b"q")
        assert origin.calls[page] == number


def test_a_client_that_wants_it_fresh_gets_it_so(client, origin, page):
    ask(client, page, b"q")
    for number, word in enumerate(("no-cache", "no-store"), 2):
        assert ask(client, page, b"q", cache_control=word).json()["call"] == number
    assert ask(client, page, b"q", origin="http://elsewhere").json()["call"] == 4
    assert ask(client, page, b"q").json()["call"] == 1


def test_streams_pass_through_as_they_come(client, origin, page):
    held = [origin.gate(page, count) for count in range(3)]
    body = b'{"stream": true}'
    with client.stream("POST", page + "?form=stream", content=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = answer.iter_raw()
        said = b""
        for count in range(3):
            while not said.endswith(b"data: %d\n\n" % count):
                said += next(events)
            held[count].set()  # the origin goes on only after we have seen this one
    with client.stream("POST", page + "?form=stream", content=body) as answer:
        assert answer.read() == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert origin.calls[page] == 2


@pytest.mark.parametrize(
    "path", ["/.tenfold/slot/json/name?x", "/.tenfold/slot/lt", "/.tenfold/purge", "/.tenfold/"]
)
def test_the_edges_own_addresses_are_closed(client, origin, path):
    for method in ("GET", "POST"):
        answer = client.request(method, path, headers={"x-tenfold-slot-name": "x"})
        assert answer.status_code == 404
        assert not origin.asked(path.partition("?")[0])


def test_under_load_everybody_sees_his_own_only(edge, origin, page):
    """Random users, tenants and bodies of all sizes at once, with purges in between: nobody ever sees a
    value, a body or a key of another."""
    drawn = random.Random(7)
    bodies = [
        json.dumps({"n": n, "pad": "p" * size}).encode()
        for n, size in enumerate([0, 0, 10, 2000, 30_000, 40_000, 100_000, 300_000] * 2)
    ]

    async def one(client: httpx.AsyncClient) -> None:
        for _ in range(25):
            body, who = drawn.choice(bodies), f"Bearer {drawn.choice('abc')}"
            name, city = f"u{drawn.randrange(10**9)}", drawn.choice(HOSTILE)
            answer = await client.post(
                f"{edge.url}{page}?form=template&delay={drawn.choice(['0', '0.01'])}",
                content=body,
                headers={"authorization": who, **edge.user(name=name, city=city)},
            )
            said = answer.json()
            assert (said["hello"], said["city"], said["who"]) == (name, city, who)
            assert said["sha"] == hashlib.sha256(body).hexdigest()

    async def go() -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            await asyncio.gather(*(one(client) for _ in range(16)))

    asyncio.run(go())
    cacheable = 6 * 2 * 3 * 2
    assert origin.calls[page] < 16 * 25
    assert origin.calls[page] > cacheable / 2
