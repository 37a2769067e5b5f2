"""From a snapshot to training: the same documents as shards and as a corpus, made once, the same bytes."""

from __future__ import annotations

import json

import pytest

from tenfold.core.graph import Graph, Node
from tenfold.data.collect import collect
from tenfold.data.corpus import corpus
from tenfold.data.ingest import ingest
from tenfold.data.records import records
from tenfold.data.refine import refine
from tenfold.data.shards import shards
from tenfold.data.tokenizer import tokenizer
from tenfold.errors import GraphError, InputError

torch = pytest.importorskip("torch")

from tokenizers import Tokenizer  # noqa: E402

from tenfold.train.batches import Blocks, tokenise  # noqa: E402
from tenfold.train.pretrain import pretrain  # noqa: E402

SHARE = {"heldout_share": 0.2}
TINY = {"depth": 1, "width": 32, "heads": 2, "context": 32, "batch": 4, "steps": 6}


def jobs_of(ctx):
    told = [fields for event, fields in ctx.logs if event == "jobs"]
    ctx.logs.clear()
    return [(fields["reused"], fields["to_make"]) for fields in told]


def test_shards_decode_to_the_texts_of_the_records(curated, vocabulary, run, ctx):
    made = run(shards, curated, vocabulary, **SHARE)
    peer = Tokenizer.from_file(str(vocabulary.path("tokenizer.json")))
    kept = [row for batch in curated.batches(["text"]) for row in batch["text"].to_pylist()]
    found = {}
    for split in ("train", "heldout"):
        tokens = made.tokens(split)
        assert tokens.width == 2
        spans = list(tokens.documents())
        ids = [tokens.ids(*span).tolist() for span in spans]
        assert all(document[-1] == 0 and document.count(0) == 1 for document in ids)
        found[split] = [peer.decode(document[:-1]) for document in ids]
        assert tokens.num_bytes == sum(len(text.encode()) for text in found[split])
    assert sorted(found["train"] + found["heldout"]) == sorted(kept)
    assert [text for text in kept if text in set(found["train"])] == found["train"]
    assert ctx.metrics["documents"] == len(kept) == made.meta["documents"]
    assert ctx.metrics["heldout.documents"] == len(found["heldout"]) > 0
    assert made.meta["removed"] == curated.content["lost"]
    assert made.content["parents"] == [curated.digest]


def test_the_same_documents_give_the_same_batches_and_the_same_model(
    curated, vocabulary, run, tmp_path
):
    as_shards = run(shards, curated, vocabulary, **SHARE)
    as_corpus = run(corpus, curated, **SHARE)
    peer = Tokenizer.from_file(str(vocabulary.path("tokenizer.json")))
    texts = (document.text for document in as_corpus.documents("train"))
    both = [as_shards.tokens("train"), tokenise(texts, peer, 0, tmp_path / "tokens")]
    assert len({tokens.num_tokens for tokens in both}) == 1
    one, two = (Blocks(t, context=32, batch=4, part=2, seed=5) for t in both)
    for step in (0, 1, 7, 10_000):
        for left, right in zip(one.at(step), two.at(step), strict=True):
            assert torch.equal(left, right)
    threads = torch.get_num_threads()
    models = [run(pretrain, given, vocabulary, **TINY) for given in (as_shards, as_corpus)]
    torch.set_num_threads(threads)
    assert models[0].digest == models[1].digest


@pytest.mark.parametrize("workers", [2, 8])
def test_any_number_of_workers_makes_the_same_bytes(curated, vocabulary, run, ctx, workers):
    alone = run(shards, curated, vocabulary, **SHARE)
    assert len(curated.segments()) > 1
    ctx.pieces.clear()
    ctx.cpu = workers
    assert run(shards, curated, vocabulary, **SHARE).digest == alone.digest


def test_only_new_segments_are_tokenised(ingested, vocabulary, run, ctx, tmp_path):
    ctx.logs.clear()
    run(shards, ingested, vocabulary)
    num = len(ingested.segments())
    run(shards, ingested, vocabulary)
    assert jobs_of(ctx) == [(0, num), (num, 0)]
    (tmp_path / "c.jsonl").write_text('{"text": "one more"}\n')
    sources = [
        {"kind": "jsonl", "path": f"{name}.jsonl", "licence": licence, "name": name, **more}
        for name, licence, more in (
            ("c", "MIT", {}), ("a", "PSF-2.0", {"authority": 0.9}), ("b", "CC0-1.0", {}),
        )
    ]  # fmt: skip
    grown = run(ingest, sources=sources)
    ctx.logs.clear()
    run(shards, grown, vocabulary)
    assert jobs_of(ctx) == [(num, 1)]
    run(shards, ingested, vocabulary, heldout_share=0.4)
    assert jobs_of(ctx) == [(0, num)]


def test_sides_that_an_operator_wrote_hold_for_shards_and_corpora(ingested, vocabulary, run):
    split = run(refine, ingested, operators=[{"split": {"heldout_share": 0.5}}])
    written = [row for batch in split.batches(["id", "split"]) for row in batch.to_pylist()]
    held = {row["id"] for row in written if row["split"] == "heldout"}
    assert 0 < len(held) < len(written)
    for share in (0.0, 0.1):
        made = run(corpus, split, heldout_share=share)
        assert {document.id for document in made.documents("heldout")} == held
        made = run(shards, split, vocabulary, heldout_share=share)
        assert made.tokens("heldout").num_documents == len(held)


def test_a_corpus_comes_back_from_the_hub_as_it_went_in(run, corpus_of, tmp_path):
    (tmp_path / "one.txt").write_text("The first text.")
    (tmp_path / "two.txt").write_text("The second text.\nIt has two lines.")
    given = run(collect, source="paths", paths=["*.txt"], licence="CC0-1.0")
    snapshot = run(records, given, authority=0.7)
    [batch] = snapshot.batches()
    assert batch.column("authority").to_pylist() == pytest.approx([0.7, 0.7])
    assert [json.loads(meta)["document"] for meta in batch.column("meta").to_pylist()] == [
        document.id for document in given.documents()
    ]
    assert snapshot.content["parents"] == [given.digest]
    back = run(corpus, snapshot, heldout_share=0)
    told = [(d.text, d.source, d.licence, d.split) for d in given.documents()]
    assert [(d.text, d.source, d.licence, d.split) for d in back.documents()] == told


def test_what_was_held_out_of_a_corpus_stays_held_out(run, commit):
    from tenfold.core.asset import Corpus, Document, Draft

    sides = ["train" if n % 3 else "heldout" for n in range(30)]
    rows = [Document(f"d{n}", f"text {n}", "here", "MIT", side) for n, side in enumerate(sides)]
    given = commit(Corpus.write(Draft("corpus"), rows))
    back = run(corpus, run(records, given))
    assert [document.split for document in back.documents()] == sides


def test_a_line_that_is_no_document_is_quarantined_with_its_place(run, commit):
    from tenfold.core.asset import Corpus, Draft

    draft = Draft(Corpus.kind)
    good = {"id": "x", "text": "good", "source": "here", "licence": "MIT"}
    draft.write_bytes(Corpus.FILE, json.dumps(good).encode() + b'\n{"id": "y"}\nno\n')
    snapshot = run(records, commit(draft))
    assert snapshot.content["quarantine"] == {"json": 2}
    assert snapshot.count == 1


def test_faults_are_told(curated, vocabulary, run, corpus_of):
    made = run(shards, curated, vocabulary)
    other = run(tokenizer, corpus_of(["another text"]), vocabulary=300)
    with pytest.raises(InputError, match="another tokenizer"):
        run(pretrain, made, other, **TINY)
    with pytest.raises(GraphError, match="must be a corpus or shards, but 'raw' is a snapshot"):
        Graph(
            [
                Node(name="raw", step=ingest, config={}),
                Node(name="words", step=tokenizer, needs=("text",), config={}),
                Node(name="text", step=corpus, needs=("raw",), config={}),
                Node(name="base", step=pretrain, needs=("raw", "words"), config={}),
            ]
        )
    Graph(
        [
            Node(name="raw", step=ingest, config={}),
            Node(name="text", step=corpus, needs=("raw",), config={}),
            Node(name="words", step=tokenizer, needs=("text",), config={}),
            Node(name="tokens", step=shards, needs=("raw", "words"), config={}),
            Node(name="base", step=pretrain, needs=("tokens", "words"), config={}),
        ]
    )
