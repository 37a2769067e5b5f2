"""Labelling: how many labels targeting saves, how many planted label errors are found, how well rough labels are judged.

    python bench/data_label.py [--quick] [--json]

On shared data: MNIST digits and passages of novels (the label is the book). Curves are paired: both ways
begin with the same random labels, see the same pool and are judged on the same held-out records.
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
from harness import Figure, Unavailable, spread

SEED = 4
BOOKS = 6
PASSAGE_WORDS = 80
NOISE = 0.1


def measure(quick: bool) -> dict[str, Figure]:
    """Raises Unavailable without the extra `data` or the shared data."""
    try:
        import numpy  # noqa: F401
        import sklearn  # noqa: F401
    except ModuleNotFoundError as missing:
        raise Unavailable(f"{missing.name} is not installed") from None
    found: dict[str, Figure] = {}
    pool, test = (1000, 500) if quick else (3000, 1500)
    for name, (features, truth) in (
        ("images", _digits(pool + test)),
        ("text", _passages(pool + test)),
    ):
        found.update(_curves(name, features, truth, pool, quick))
        found.update(_errors(name, features, truth, quick))
    found.update(_weak(quick))
    return found


def _curves(
    name: str, features: Any, truth: Any, pool: int, quick: bool
) -> Iterator[tuple[str, Figure]]:
    import numpy as np

    from tenfold.data.label.classifier import Classifier
    from tenfold.data.label.targets import diverse, margin

    start, batch, rounds, seeds = (50, 50, 4, 2) if quick else (50, 50, 11, 6)
    classes = int(truth.max()) + 1
    saved, gained = [], []
    curves: dict[bool, list[list[float]]] = {True: [], False: []}
    for seed in range(seeds):
        order = np.random.default_rng(SEED + seed).permutation(len(truth))
        among, test = order[:pool], order[pool:]
        curve: dict[bool, list[float]] = {}
        for targeted in (True, False):
            draw = np.random.default_rng(1000 + seed)
            known = among[:start].tolist()
            accuracy = []
            for step in range(rounds + 1):
                model = Classifier(classes).fit(features[known], truth[known])
                right = model.probabilities(features[test]).argmax(1) == truth[test]
                accuracy.append(float(right.mean()))
                if step < rounds:
                    rest = np.setdiff1d(among, known)
                    torn = (
                        margin(model.probabilities(features[rest]))
                        if targeted
                        else draw.random(len(rest))
                    )
                    known += rest[diverse(torn, features[rest], batch, 0.9)].tolist()
            curve[targeted] = accuracy
            curves[targeted].append(accuracy)
        labels = [start + batch * step for step in range(rounds + 1)]
        needed = _reached(labels, curve[True], curve[False][-1])
        saved.append(labels[-1] / needed)
        gained.append(curve[True][-1] - curve[False][-1])
    how = (
        f"{name}: {pool} records, {classes} classes, batches of {batch} after {start} random ones, logistic "
        f"regression, {seeds} paired repeats; targeted: smallest margin, no near-copies in a batch"
    )
    yield (
        f"label_saving_{name}",
        spread(
            saved, "x", f"labels that random needs over labels that targeting needs for the accuracy "
            f"which random reaches with {start + batch * rounds}; {how}", peer="random",
        ),
    )  # fmt: skip
    yield f"label_gain_{name}", spread(
        gained, "", f"accuracy at {start + batch * rounds} labels, targeted minus random; {how}",
        peer="random",
    )  # fmt: skip
    for step in range(0, rounds + 1, 2):
        for targeted, word in ((True, "targeted"), (False, "random")):
            values = [accuracy[step] for accuracy in curves[targeted]]
            key = f"accuracy_{name}_{word}.{start + batch * step}"
            yield key, spread(values, "", f"held-out accuracy; {how}")


def _reached(labels: list[int], accuracy: list[float], wanted: float) -> float:
    """Where the curve first comes to `wanted`, between two points as on a line; its end if it never does."""
    for n, value in enumerate(accuracy):
        if value >= wanted:
            if n == 0:
                return float(labels[0])
            share = (wanted - accuracy[n - 1]) / (value - accuracy[n - 1])
            return labels[n - 1] + share * (labels[n] - labels[n - 1])
    return float(labels[-1])


def _errors(name: str, features: Any, truth: Any, quick: bool) -> Iterator[tuple[str, Figure]]:
    import numpy as np

    from tenfold.data.label.classifier import held_out_probabilities
    from tenfold.data.label.mistakes import mistakes

    classes = int(truth.max()) + 1
    rows = slice(0, 800 if quick else 4000)
    features, truth = features[rows], truth[rows]
    figures: dict[str, list[float]] = {"recall": [], "precision": [], "f1": [], "naive": []}
    for seed in range(1 if quick else 3):
        draw = np.random.default_rng(SEED + seed)
        # Half of the classes are taken for the next one, at twice the rate: noise with a shape.
        given = np.where(
            (truth % 2 == 0) & (draw.random(len(truth)) < 2 * NOISE), (truth + 1) % classes, truth
        )
        wrong = given != truth
        judged = held_out_probabilities(features, given, classes, seed=seed, strength=1.0)
        index = mistakes(given, judged).index
        own = judged[np.arange(len(given)), given]
        costly = np.argsort(own, kind="stable")[: int(wrong.sum())]
        hit = wrong[index].sum()
        figures["recall"].append(float(hit / wrong.sum()))
        figures["precision"].append(float(hit / max(1, len(index))))
        figures["f1"].append(float(2 * hit / (len(index) + wrong.sum())))
        figures["naive"].append(float(wrong[costly].mean()))
    how = f"{name}: {len(truth)} records, {NOISE:.0%} of labels planted wrong in half of the classes, 5-fold probabilities"
    for key in ("recall", "precision", "f1"):
        yield f"label_error_{key}_{name}", spread(figures[key], "", f"confident learning; {how}")
    yield (
        f"label_error_f1_naive_{name}",
        spread(
            figures["naive"], "", f"the same by highest loss, told how many are wrong (so recall, "
            f"precision and F1 are one); {how}",
        ),
    )  # fmt: skip


def _weak(quick: bool) -> Iterator[tuple[str, Figure]]:
    import numpy as np

    from tenfold.data.label.weak import label_model, majority

    accuracy = np.array([0.95, 0.85, 0.75, 0.65, 0.6, 0.55])
    coverage = np.array([0.2, 0.6, 0.7, 0.8, 0.9, 0.9])
    items = 3000 if quick else 10_000
    off, ours, theirs = [], [], []
    for seed in range(3 if quick else 10):
        draw = np.random.default_rng(SEED + seed)
        truth = draw.integers(0, 3, items)
        cast = np.full((items, len(accuracy)), -1)
        for j in range(len(accuracy)):
            said = np.where(
                draw.random(items) < accuracy[j], truth, (truth + draw.integers(1, 3, items)) % 3
            )
            cast[:, j] = np.where(draw.random(items) < coverage[j], said, -1)
        found = label_model(cast, 3)
        off.append(float(np.abs(found.accuracy - accuracy).max()))
        ours.append(float((found.probabilities.argmax(1) == truth).mean()))
        theirs.append(float((majority(cast, 3).argmax(1) == truth).mean()))
    how = f"{items} items, 3 classes, six functions of accuracies .55 to .95 that abstain on 10 to 80 %"
    yield "weak_accuracy_error", spread(off, "", f"largest error of an estimated accuracy; {how}")
    yield "weak_labels", spread(ours, "", f"right labels of the model; {how}", peer="majority")
    yield "weak_labels_majority", spread(theirs, "", f"right labels of the majority's vote; {how}")


def _shared(path: str) -> Path:
    found = harness.ROOT.parent / "shared" / "data" / path
    if not found.is_file():
        raise Unavailable(f"shared/data/{path} is not beside the checkout")
    return found


def _digits(count: int) -> tuple[Any, Any]:
    """(features, labels), through the same thumbnails as a factory has."""
    import numpy as np
    import pyarrow as pa
    from PIL import Image

    from tenfold.data.label.features import features

    with gzip.open(_shared("image/mnist_t10k-images-idx3-ubyte.gz")) as file:
        pixels = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28)[:count]
    with gzip.open(_shared("image/mnist_t10k-labels-idx1-ubyte.gz")) as file:
        labels = np.frombuffer(file.read()[8:], np.uint8)[:count].astype(np.int64)
    images = []
    for each in pixels:
        data = io.BytesIO()
        Image.fromarray(each).save(data, "PNG", compress_level=0)
        images.append(data.getvalue())
    return features(pa.table({"image": pa.array(images, pa.binary())})), labels


def _passages(count: int) -> tuple[Any, Any]:
    """(features, labels) of stretches of the first `BOOKS` novels, as many of each."""
    import numpy as np
    import pyarrow as pa

    from tenfold.data.label.features import features

    each = -(-count // BOOKS)
    texts, labels = [], []
    with tarfile.open(_shared("text/classic_books_a.tar.gz")) as archive:
        members = sorted(
            (m for m in archive.getmembers() if m.isfile() and m.name.endswith(".md")),
            key=lambda m: m.name,
        )
        label = 0
        for member in members:
            file = archive.extractfile(member)
            assert file is not None
            words = file.read().decode(errors="replace").split()
            if len(words) < each * PASSAGE_WORDS or label == BOOKS:
                continue
            step = len(words) // each
            for n in range(each):
                texts.append(" ".join(words[n * step : n * step + PASSAGE_WORDS]))
                labels.append(label)
            label += 1
    order = np.random.default_rng(SEED).permutation(len(texts))[:count]
    return (
        features(pa.table({"text": [texts[n] for n in order]})),
        np.array([labels[n] for n in order], np.int64),
    )


if __name__ == "__main__":
    measures = {"label": lambda quick: iter(measure(quick).items())}
    sys.exit(harness.main("data_label", (__doc__ or "").partition("\n")[0], measures))
