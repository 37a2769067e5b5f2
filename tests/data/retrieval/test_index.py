"""Indexes on disk: against brute force, in one part and in many, cut off, rebuilt without somebody."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tenfold.data.retrieval.encoder import LetterEncoder, sequences
from tenfold.data.retrieval.entry import Entry
from tenfold.data.retrieval.filters import Filters
from tenfold.data.retrieval.index import Index
from tenfold.data.retrieval.passage import passage
from tenfold.data.retrieval.ranking import Ranking
from tenfold.data.retrieval.words import number
from tenfold.errors import ConfigError, InputError, UsageError

DAY_US = 86_400_000_000
PLAIN = Ranking(vectors=0, authority=0, freshness=0, superseded="keep")
TOPICS = ["tides and harbours", "bread and yeast", "glaciers and ice", "violins and bows"]


def entries(count=40, start=0):
    random = np.random.default_rng(3)
    filler = [
        "the",
        "of",
        "and",
        "sea",
        "salt",
        "flour",
        "snow",
        "string",
        "wood",
        "wind",
        "stone",
        "light",
        "paper",
        "early",
        "often",
    ]
    made = []
    for row in range(count):
        text = " ".join(random.choice(filler, 30)) + f"\n\nAbout {TOPICS[row % 4]}, part {row}."
        made.append(
            Entry.of(
                f"id{row}", text, {"title": f"Book {row}", "shelf": row % 3},
                source=f"library {row % 2}", place=f"shelf/{row}", licence="CC0-1.0",
                authority=0.5, time_us=row * DAY_US,
            )
        )  # fmt: skip
    return made[start:]


def ids(hits):
    return [hit.id for hit in hits]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return Index.build(tmp_path_factory.mktemp("index") / "made", entries(), snapshot="a" * 64)


def test_a_hit_says_all_that_a_citation_needs(index):
    (hit,) = index.search("violins part 7", 1, characters=40)
    assert hit.id == "id7"
    assert hit.citation == "id7@" + "a" * 12
    assert hit.passage == "About violins and bows, part 7."
    whole = entries()[7].text
    assert whole[hit.start : hit.end] == hit.passage
    assert (hit.source, hit.place, hit.licence, hit.time_us) == (
        "library 1", "shelf/7", "CC0-1.0", 7 * DAY_US,
    )  # fmt: skip


def test_opened_again_and_built_again_it_is_the_same(index, tmp_path):
    twin = Index.build(tmp_path / "twin", entries(), snapshot="a" * 64)
    for query in TOPICS:
        assert index.search(query) == Index.open(index.folder).search(query) == twin.search(query)
    files = [sorted(p.relative_to(f) for p in f.rglob("*")) for f in (index.folder, twin.folder)]
    assert files[0] == files[1]
    for name in files[0]:
        if (index.folder / name).is_file():
            assert (index.folder / name).read_bytes() == (twin.folder / name).read_bytes(), name


def test_added_in_three_parts_it_ranks_words_as_if_built_at_once(index, tmp_path):
    every = entries()
    grown = Index.build(tmp_path / "grown", every[:10], snapshot="a")
    grown = grown.add(every[10:25], snapshot="b").add(every[20:], snapshot="c")
    assert len(grown) == 40
    for query in [*TOPICS, "book 3", "salt wind stone"]:
        whole, parts = (one.search(query, 40, ranking=PLAIN) for one in (index, grown))
        assert ids(whole) == ids(parts)
        assert np.allclose([h.score for h in whole], [h.score for h in parts])
    assert {hit.snapshot for hit in grown.search("book", 40)} == {"a", "b", "c"}


def test_a_reader_keeps_what_it_opened_and_half_an_addition_is_nothing(tmp_path):
    every = entries()
    first = Index.build(tmp_path / "i", every[:10], snapshot="a")
    (tmp_path / "i" / "part1").mkdir()
    (tmp_path / "i" / "part1" / "terms.npy").write_bytes(b"half")
    assert len(Index.open(tmp_path / "i")) == 10
    second = first.add(every[10:], snapshot="b")
    assert len(first.search("book", 40)) == 10
    assert len(second.search("book", 40)) == 40


def test_vectors_find_what_is_spelt_otherwise(index):
    words_only = index.search("glaciology violinist", 5, ranking=PLAIN)
    both = index.search("glaciology violinist", 40)
    assert words_only == []
    assert {int(hit.id[2:]) % 4 for hit in both[:4]} <= {2, 3}


def test_nearest_vectors_are_those_of_brute_force(index):
    texts = [f"{entry.title}\n{entry.text}" for entry in entries()]
    encoder = LetterEncoder.learnt(texts)
    vectors, query = encoder.encode(texts), encoder.encode(["bread and yeast"])[0]
    rows, cosines = index.parts[0].nearest(query, 40)
    exact = vectors @ query
    assert np.allclose(cosines, exact[rows], atol=0.01)
    assert (np.diff(exact[rows]) < 0.01).all()


def test_projected_vectors_estimate_the_cosine_of_their_sequences():
    texts = [entry.text for entry in entries(12)]
    encoder = LetterEncoder.learnt(texts, dimensions=4096)

    def weighed(text):
        found, counts = sequences(text)
        rarity = encoder.rarity[(found & np.uint64(65535)).astype(int)]
        return dict(zip(found.tolist(), (1 + np.log(counts)) * rarity, strict=True))

    def cosine(a, b):
        dot = sum(value * b.get(key, 0) for key, value in a.items())
        return dot / np.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))

    sparse = [weighed(text) for text in texts]
    dense = encoder.encode(texts)
    for i in range(12):
        for j in range(i):
            assert abs(dense[i] @ dense[j] - cosine(sparse[i], sparse[j])) < 0.08


def test_sequences_are_those_within_words():
    found, counts = sequences("ab abc")
    # " ab", "ab ", " abc", "abc", "bc ", "abc " and " ab " / " abc ": counted by hand.
    by_hand = [" ab", "ab ", " ab ", " ab", "abc", "bc ", " abc", "abc ", " abc "]
    assert len(found) == len(set(by_hand))
    assert counts.sum() == len(by_hand)


def test_filters(index):
    def found(**filters):
        return {int(hit.id[2:]) for hit in index.search("book", 40, Filters(**filters))}

    assert found(sources=["library 1"]) == set(range(1, 40, 2))
    assert found(sources=["nowhere"]) == set()
    assert found(licences=["CC0-1.0"]) == set(range(40))
    assert found(after_us=30 * DAY_US) == set(range(30, 40))
    assert found(before_us=3 * DAY_US) == {0, 1, 2}
    assert found(least_authority=0.6) == set()
    assert found(meta={"shelf": 2}, sources=["library 0"]) == {2, 8, 14, 20, 26, 32, 38}


def test_a_narrow_filter_still_finds_by_vectors(index):
    vectors = Ranking(words=0, depth=2)
    only = Filters(meta={"title": "Book 39"})
    assert ids(index.search("violins", 3, only, ranking=vectors)) == ["id39"]


def records(**changes):
    base = {"text": "how a wheel is named and tagged", "authority": 1.0, "time_us": 0}
    return [Entry(**{**base, "id": name, **change}) for name, change in changes.items()]


def test_authority_and_freshness_decide_between_equals(tmp_path):
    trusted = Index.build(tmp_path / "a", records(blog={"authority": 0.2}, manual={}), snapshot="s")
    assert ids(trusted.search("wheel tagged")) == ["manual", "blog"]
    fresh = Index.build(
        tmp_path / "b",
        records(old={}, new={"time_us": 4000 * DAY_US}, undated={"time_us": None}),
        snapshot="s",
    )
    assert ids(fresh.search("wheel tagged")) == ["new", "old", "undated"]
    flat = Ranking(freshness=0, vectors=0)
    assert ids(fresh.search("wheel tagged", ranking=flat)) == ["old", "new", "undated"]


def test_superseded_records(tmp_path):
    made = Index.build(
        tmp_path / "i",
        records(
            one={"key": "spec-1", "superseded_by": ("spec-2",)},
            two={"text": "wheels, again", "key": "spec-2"},
            three={"text": "nothing alike", "supersedes": ("two", "unknown")},
        ),
        snapshot="s",
    )
    found = made.search("how a wheel is named")
    assert ids(found) == ["three", "two", "one"]
    assert [hit.superseded_by for hit in found] == [(), ("three",), ("three",)]
    assert ids(made.search("how a wheel", ranking=Ranking(superseded="hide"))) == ["three"]
    assert ids(made.search("how a wheel", ranking=Ranking(superseded="keep"), k=1)) == ["one"]
    added = made.add(records(four={"text": "newest", "supersedes": ("three",)}), snapshot="t")
    assert ids(added.search("how a wheel"))[0] == "four"


def test_without_a_record_no_byte_of_it_is_left(tmp_path):
    secret = Entry(id="erased", text="Gwendolyn Zyxwvut lives at the harbour", title="Zyxwvut")
    made = Index.build(tmp_path / "i", [*entries(5), secret], snapshot="a")
    made = made.add([Entry(id="later", text="Later")], snapshot="b")
    clean = made.rebuilt(tmp_path / "clean", without=["erased"])
    files = [path.read_bytes() for path in clean.folder.rglob("*") if path.is_file()]
    term = number("zyxwvut").to_bytes(8, "little")
    for trace in (b"Zyxwvut", b"Gwendolyn", b"erased", term):
        assert not any(trace in data for data in files)
    assert any(term in path.read_bytes() for path in made.folder.rglob("terms.npy"))
    first = clean.search("later")[0]
    assert (first.id, first.snapshot) == ("later", "b")
    assert len(clean) == 6


class Signs:
    """An encoder of the user's: one dimension for each topic."""

    name, dimensions = "signs/1", 4

    def encode(self, texts):
        return np.array(
            [[float(topic.split()[0] in text) for topic in TOPICS] for text in texts], np.float32
        )


def test_an_encoder_of_the_users_own(tmp_path):
    Index.build(tmp_path / "i", entries(), snapshot="s", encoder=Signs())
    vectors = Ranking(words=0)
    found = Index.open(tmp_path / "i", Signs()).search("violins", 4, ranking=vectors)
    assert {int(hit.id[2:]) % 4 for hit in found} == {3}
    with pytest.raises(UsageError, match="signs/1"):
        Index.open(tmp_path / "i")


def test_the_empty_index_and_the_empty_question(index, tmp_path):
    empty = Index.build(tmp_path / "e", [], snapshot="s")
    assert empty.search("anything") == []
    assert index.search("") == []
    assert ids(empty.add(entries(3), snapshot="t").search("book 2", 1)) == ["id2"]


def test_passages_are_paragraphs_with_most_of_the_question():
    text = "first words\n\nsecond wheel here\n\nthird wheel and tag\n\nlast"
    start, end = passage(text, {number("wheel"): 1.0, number("tag"): 2.0}, 25)
    assert text[start:end] == "third wheel and tag\n\nlast"
    assert passage("", {}, 10) == (0, 0)
    assert passage("x" * 50, {}, 10) == (0, 10)


def test_what_is_no_index_is_refused(tmp_path, index):
    with pytest.raises(InputError, match="not an index"):
        Index.open(tmp_path)
    with pytest.raises(UsageError, match="empty"):
        Index.build(index.folder, [], snapshot="s")
    (tmp_path / "index.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match="another format"):
        Index.open(tmp_path)
    with pytest.raises(ConfigError):
        Ranking(demote=1.0)
    with pytest.raises(InputError, match="supersedes"):
        Entry.of("a", "", {"supersedes": [3]})


def test_searching_needs_numpy_and_usearch_only(index):
    code = (
        "import sys\n"
        "for heavy in ('pyarrow', 'numba', 'scipy', 'sklearn', 'PIL', 'torch'):\n"
        "    sys.modules[heavy] = None\n"
        "from tenfold.data.retrieval.index import Index\n"
        f"print(Index.open({str(index.folder)!r}).search('violins', 1)[0].id)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() in {f"id{row}" for row in range(3, 40, 4)}, done.stderr
