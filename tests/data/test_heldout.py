from __future__ import annotations

import random

from tenfold.core.asset import Document
from tenfold.data.heldout import held_out


def documents(count: int, length: int = 40) -> list[Document]:
    chance = random.Random(4)
    return [
        Document(f"{n}", " ".join(f"w{chance.randrange(9000)}" for _ in range(length)), "s", "l")
        for n in range(count)
    ]


def test_about_the_share_is_drawn_and_neighbours_do_not_matter():
    many = documents(2000)
    chosen, sent_back = held_out(many, share=0.05, max_overlap=0.1)
    assert 60 < len(chosen) < 145  # 100 expected, 4.5 standard deviations
    assert sent_back == 0
    half, _ = held_out(many[::2], share=0.05, max_overlap=0.1)
    assert half == {document.id for document in many[::2]} & chosen


def test_what_training_would_remember_is_not_held_out():
    many = documents(400)
    chosen, _ = held_out(many, share=0.1, max_overlap=0.1)
    leak = next(document for document in many if document.id in chosen)
    quoting = Document("quoting", "before " + leak.text + " after and more", "s", "l")
    after, _ = held_out([*many, quoting], share=0.1, max_overlap=0.1)
    assert leak.id not in after
    assert chosen - after <= {leak.id}


def test_small_corpora_still_have_both_sides():
    for count in (2, 3, 5):
        chosen, _ = held_out(documents(count), share=0.05, max_overlap=0.1)
        assert 0 < len(chosen) < count
    assert held_out(documents(1), share=0.5, max_overlap=0.1)[0] == set()
    assert held_out(documents(9), share=0.0, max_overlap=0.1)[0] == set()
