"""The steps: a queue of what needs a person, and labels written back, on snapshots made by real steps."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tenfold.data.cut import cut
from tenfold.data.ingest import ingest
from tenfold.data.label.log import to_line
from tenfold.data.labels import labels, observe
from tenfold.data.refine import refine
from tenfold.data.review import review
from tenfold.errors import ConfigError, InputError

CHOICES = ["spring", "winter"]


def seasons(count):
    """Half of them with words of spring, half with words of winter, the last tenth with both."""
    draw = np.random.default_rng(0)
    warm, cold = (
        ["bud", "blossom", "lamb", "thaw", "seed"],
        ["frost", "snow", "sledge", "ice", "icicle"],
    )
    found = []
    for n in range(count):
        pools = (warm, cold) if n >= count * 0.9 else (warm, warm) if n % 2 else (cold, cold)
        words = [str(draw.choice(pools[m % 2])) for m in range(6)]
        found.append(f"note {n} {draw.integers(1e9)}: " + " ".join(words))
    return found


def truth(text):
    return CHOICES[any(word in text for word in ("frost", "snow", "sledge", "ice"))]


def table(snapshot, **options):
    return pa.Table.from_batches(snapshot.batches(**options))


@pytest.fixture
def log(tmp_path, event):
    def write(rows):
        lines = [to_line(event(*row, seq=seq)) for seq, row in enumerate(rows, 1)]
        (tmp_path / "labels.jsonl").write_text("".join(lines))
        return "labels.jsonl"

    return write


def test_the_first_round_is_a_draw_without_near_copies(texts_snapshot, run, ctx):
    texts = seasons(60)
    made = texts_snapshot([*texts, *(text + "!" for text in texts)])
    queue = run(review, made, choices=CHOICES, size=40, max_similarity=0.9)
    rows = table(queue)
    shown = [text.rstrip("!") for text in rows["text"].to_pylist()]
    assert len(shown) == len(set(shown)) == 40
    assert rows["review.rank"].to_pylist() == list(range(40))
    assert ctx.metrics["asked.unlabelled"] == 40
    assert queue.meta["review"] == {
        "choices": CHOICES,
        "question": "Which label fits?",
        "overlap": 1,
        "reasons": {"unlabelled": 40},
    }
    assert run(review, made, choices=CHOICES, size=40, max_similarity=0.9).digest == queue.digest


def test_a_later_round_asks_what_is_unsure_disputed_and_suspect(texts_snapshot, run, log, ctx):
    texts = seasons(200)
    made = texts_snapshot(texts)
    ids = dict(zip(table(made)["text"].to_pylist(), table(made)["id"].to_pylist(), strict=True))
    rows = [(ids[text], "ann", truth(text)) for text in texts[:100]]
    wrong = texts[3]
    rows[3] = (ids[wrong], "ann", CHOICES[1 - CHOICES.index(truth(wrong))])
    rows.append((ids[texts[10]], "bo", CHOICES[1 - CHOICES.index(truth(texts[10]))]))
    queue = run(review, made, choices=CHOICES, size=20, labels=log(rows), max_similarity=0.999)
    found = table(queue)
    by_reason = {}
    for text, reason in zip(
        *(found[n].to_pylist() for n in ("text", "review.reason")), strict=True
    ):
        by_reason.setdefault(reason, []).append(text)
    assert by_reason["disputed"] == [texts[10]]
    assert wrong in by_reason["suspect"]
    both = set(texts[180:])
    torn = by_reason["unsure"]
    assert len(both & set(torn)) > 0.8 * len(torn), "those with words of both seasons"
    assert not set(torn) & set(texts[:100])


def test_drops_and_what_could_not_be_read(texts_snapshot, run, ctx):
    made = texts_snapshot(["short", *seasons(30)], broken=['{"text": "cut off'])
    refined = run(refine, made, operators=[{"rules": {"counting": "paper"}}])
    queue = run(
        review, refined, choices=["keep", "drop"], causes=["rules.*"], quarantined=True, unlabelled=False
    )  # fmt: skip
    rows = {row["text"]: row for row in table(queue).to_pylist()}
    assert rows["short"]["review.reason"].startswith("rules.")
    assert rows["short"]["drop"] is None
    [broken] = [row for row in rows.values() if row["review.reason"] == "quarantined"]
    assert "cut off" in broken["text"]
    assert broken["place"].startswith("given.jsonl")


def test_images_are_asked_about_too(tmp_path, run):
    with tarfile.open(tmp_path / "signs.tar", "w") as archive:
        for n in range(12):
            shade = Image.new("L", (32, 32), 20 * n)
            shade.paste(255 - 20 * n, (0, 0, 4 + 2 * n, 16))
            data = io.BytesIO()
            shade.save(data, "PNG")
            info = tarfile.TarInfo(f"signs/{n}.png")
            info.size = data.tell()
            data.seek(0)
            archive.addfile(info, data)
    made = run(ingest, sources=[{"kind": "images", "path": "signs.tar", "licence": "CC0-1.0"}])
    queue = run(review, made, choices=["a", "b"], size=5, max_similarity=1.0)
    rows = table(queue)
    assert rows.num_rows == 5
    assert all(Image.open(io.BytesIO(data)).size == (32, 32) for data in rows["image"].to_pylist())


def test_nothing_to_ask_says_so(texts_snapshot, run):
    made = texts_snapshot(seasons(5))
    with pytest.raises(InputError, match="nothing to ask"):
        run(review, made, choices=CHOICES, unlabelled=False)


@pytest.mark.parametrize(
    "wrong", [{"choices": ["a"]}, {"choices": ["a", "a"]}, {"choices": ["a", ""]}, {"size": 0},
              {"overlap": 0}, {"max_similarity": 0}, {"pool": 0}],
)  # fmt: skip
def test_wrong_settings(wrong):
    with pytest.raises(ConfigError):
        review.configure({"choices": CHOICES, **wrong})


def test_labels_are_written_and_the_rest_is_marked(texts_snapshot, run, log, ctx):
    texts = seasons(20)
    made = texts_snapshot(texts)
    ids = table(made)["id"].to_pylist()
    name = log(
        [(ids[0], "ann", "spring"), (ids[0], "bo", "spring"), (ids[1], "ann", "winter"),
         (ids[2], "ann", "spring"), (ids[2], "bo", "winter"), ("gone", "ann", "winter"),
         (ids[3], "ann", "", "skip"), (ids[4], "ann", "winter"), (ids[4], "ann", "", "undo")]
    )  # fmt: skip
    labelled = run(labels, made, labels=name, choices=CHOICES)
    rows = table(labelled, kept_only=False).to_pylist()
    assert [row["labels.label"] for row in rows[:5]] == ["spring", "winter", None, None, None]
    assert [row["labels.votes"] for row in rows[:5]] == [2, 1, 2, 0, 0]
    assert [row["drop"] for row in rows[:4]] == [None, None, "labels.tie", "labels.none"]
    assert len(rows) == 20
    assert (ctx.metrics["labelled"], ctx.metrics["stray"]) == (3, 1)
    assert ctx.metrics["agreement.percent"] == 0.5
    final = run(cut, labelled)
    assert table(final)["labels.label"].to_pylist() == ["spring", "winter"]
    assert final.content["lost"] == {"labels.none": 17, "labels.tie": 1}
    strict = run(labels, made, labels=name, choices=CHOICES, least=2)
    assert [row["labels.label"] for row in table(strict, kept_only=False).to_pylist()[:2]] == ["spring", None]  # fmt: skip


def test_a_reliable_annotator_outweighs_two_guessers(texts_snapshot, run, log):
    texts = seasons(100)[:90]
    made = texts_snapshot(texts)
    ids = table(made)["id"].to_pylist()
    draw = np.random.default_rng(5)
    rows = []
    for record, text in zip(ids, texts, strict=True):
        right = CHOICES.index(truth(text))
        for who, accuracy in (
            ("ann", 0.97),
            ("bo", 0.97),
            ("cy", 0.55),
            ("di", 0.55),
            ("ed", 0.55),
        ):
            said = right if draw.random() < accuracy else 1 - right
            rows.append((record, who, CHOICES[said]))
    right = {}
    for join in ("majority", "model"):
        found = run(labels, made, labels=log(rows), choices=CHOICES, join=join)
        said = table(found, kept_only=False)["labels.label"].to_pylist()
        right[join] = np.mean([a == truth(b) for a, b in zip(said, texts, strict=True)])
    assert right["model"] > right["majority"]


def test_a_changed_log_is_seen(tmp_path, log):
    assert observe({"labels": ""}, tmp_path) == ""
    first = observe({"labels": log([("r", "ann", "spring")])}, tmp_path)
    assert observe({"labels": log([("r", "ann", "winter")])}, tmp_path) != first
    with pytest.raises(InputError, match="not there"):
        observe({"labels": "nowhere.jsonl"}, tmp_path)
