"""Everything the hub has for texts in one factory file: the same bytes of every asset for one worker and for two."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

from tenfold import Factory
from tenfold.factory.subject_key import subject_key_file

DOCS = Path(__file__).parents[3] / "docs"
FILE = """\
factory: whole
assets:
  records:
    step: data.ingest
    config:
      segment_megabytes: 1
      grow: true
      sources:
        - {kind: jsonl, path: notes.jsonl, licence: CC0-1.0, authority: 0.3, name: notes}
        - {kind: html, path: pages, text: markup, licence: CC-BY-4.0, authority: 0.7, name: pages}
  refined:
    step: data.refine
    needs: [records]
    config:
      operators:
        - html
        - repair
        - subjects
        - pii.pseudonymise: {key: subject.key, kinds: [email]}
        - pii.redact
        - pii.find
        - language: {keep: [en]}
        - rules: {counting: paper, repetition: null, quality: {min_words: 20, min_alpha_words: 0.6}}
  gated:
    step: data.decontaminate
    needs: [refined]
    config:
      sources: [{kind: jsonl, path: eval.jsonl, licence: CC0-1.0, name: quiz}]
  marked:
    step: data.dedup
    needs: [gated]
    config: {similar_threshold: 0.95, keep: [authority, longest]}
  curated:
    step: data.cut
    needs: [marked]
    config: {limits: {language.score: {min: 0.3}}}
  found:
    step: data.index
    needs: [curated]
"""


def written(folder: Path) -> None:
    """700 stretches of the documentation, some of them edited copies, two pages, and an evaluation set."""
    draw = random.Random(4)
    words = " ".join(path.read_text() for path in sorted(DOCS.glob("*.md"))).split()
    texts = []
    for number in range(700):
        if number % 6 == 5:
            text = texts[draw.randrange(number)].split()
            for _ in range(number % 4):
                text[draw.randrange(len(text))] = draw.choice(words)
        else:
            at = draw.randrange(len(words) - 400)
            text = words[at : at + 400]
        texts.append(" ".join(text))
    texts[7] += " Ask ada@example.org or call +49 30 901820 about it."
    lines = [json.dumps({"text": text}) for text in texts]
    lines[11] = "{broken"
    (folder / "notes.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "eval.jsonl").write_text(
        json.dumps({"text": " ".join(texts[20].split()[50:80])}) + "\n"
    )
    (folder / "pages").mkdir()
    for number, text in enumerate(texts[30:32]):
        page = f"<html><body><nav>Home</nav><article><h1>Page</h1><p>{text}</p></article></body></html>"
        (folder / "pages" / f"{number}.html").write_text(page)
    (folder / "subject.key").write_text("4" * 64 + "\n")
    (folder / "subject.key").chmod(0o600)
    (folder / "factory.yaml").write_text(FILE)


def test_every_asset_has_the_same_bytes_for_one_worker_and_for_two(tmp_path, monkeypatch):
    made = {}
    written(tmp_path)
    for workers in (1, 2):
        monkeypatch.setenv("TENFOLD_STORE", str(tmp_path / f"store-{workers}"))
        with Factory.load(tmp_path / "factory.yaml") as factory:
            # The hashes of persons are keyed: both stores have the same key here.
            own = subject_key_file(factory)
            own.parent.mkdir(parents=True, mode=0o700)
            own.write_bytes((tmp_path / "subject.key").read_bytes())
            own.chmod(0o600)
            factory._settings = dataclasses.replace(factory._settings, cpu=workers)
            outcome = factory.run()
            assert outcome.ok, [row.error for row in outcome.steps if row.error]
            names = ("records", "refined", "gated", "marked", "curated", "found")
            made[workers] = {name: dict(factory.asset(name).files) for name in names}
            lost = factory.asset("curated").content["lost"]
            assert len(factory.asset("records").segments()) > 1
            assert factory.asset("records").content["quarantine"] == {"json": 1}
            kept = list(factory.asset("curated").batches(["text", "subjects"]))
    assert made[1] == made[2]
    assert {"dedup.exact", "dedup.near", "decontaminate.quiz"} <= set(lost)
    texts = [text for batch in kept for text in batch.column(0).to_pylist()]
    named = [persons for batch in kept for persons in batch.column(1).to_pylist() if persons]
    assert not any("ada@example.org" in text or "<article>" in text for text in texts)
    assert named
