"""Near-duplicate images: how many edited photos are known again without one false pair, beside imagehash.

    python bench/data_images.py [--quick] [--json]

Photos of hands from the shared data: hundreds that look alike. Thresholds were set on 300 of them; the figures are of others.
All photos and all their edits lie in one pool, and a pair of different photos is false wherever it comes from.
Peers: `python bench/peers.py imagehash`. The shared data: TENFOLD_SHARED, or `shared` beside the checkout.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import ROOT, Figure, Figures, Unavailable, main, spread
from peers import python, title

TUNED_ON = 300
SEED = 0

_PEER = """
import sys, time, imagehash
from pathlib import Path
from PIL import Image
images = [Image.open(path) for path in sorted(Path(sys.argv[1]).iterdir())]
for image in images: image.load()
began = time.process_time()
hashes = [imagehash.phash(image) for image in images]
print(time.process_time() - began)
for one in hashes: print(one)
"""


def shared() -> Path:
    """The folder of shared data. Raises Unavailable."""
    for place in (os.environ.get("TENFOLD_SHARED"), ROOT / "shared", ROOT.parent / "shared"):
        if place and (Path(place) / "data").is_dir():
            return Path(place) / "data"
    raise Unavailable("the shared data is not here; point TENFOLD_SHARED at the folder that has it")


def photos(number: int):
    """Photos that no threshold was set on."""
    import numpy as np
    from PIL import Image

    with tarfile.open(shared() / "image" / "sign_digits_a.tar.gz") as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        order = np.random.default_rng(SEED).permutation(len(members))
        chosen = order[TUNED_ON : TUNED_ON + number]
        return [Image.open(archive.extractfile(members[k])).convert("RGB") for k in chosen]


def edits() -> dict[str, Callable]:
    from PIL import Image, ImageEnhance

    def crop(image):
        x, y = round(0.04 * image.width), round(0.04 * image.height)
        return image.crop((x, y, image.width - x, image.height - y))

    return {
        "jpeg_q30": lambda image: image,
        "resize": lambda image: image.resize((image.width * 6 // 10, image.height * 6 // 10)),
        "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
        "crop_4pct": crop,
        "turn_3deg": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
        "flip": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }


def pool(number: int) -> tuple[list[str], list[bytes]]:
    """Names of the edits, and files: all originals, then all of the first edit, and so on."""
    originals = photos(number)
    files = [_file(image, 90) for image in originals]
    for name, edit in edits().items():
        files += [_file(edit(image), 30 if name == "jpeg_q30" else 90) for image in originals]
    return list(edits()), files


def _file(image, quality: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def copies(quick: bool) -> Figures:
    """Recall by edit and mean, false pairs, seconds; the hash alone beside it."""
    import numpy as np

    from tenfold.data.images.decode import decode
    from tenfold.data.images.neardup import NearDuplicates, compared
    from tenfold.data.images.signature import signature, unpack

    number = 100 if quick else 600
    names, files = pool(number)
    config = NearDuplicates()
    compared(unpack([signature(decode(file).pixels) for file in files[:2]]), config)  # compiles
    began_s = time.process_time()
    images = unpack([signature(decode(file).pixels) for file in files])
    read_s = time.process_time() - began_s
    candidates = compared(images, config)
    compare_s = time.process_time() - began_s - read_s
    rows = candidates.copies(config).rows
    photo = rows % number
    false = int((photo[:, 0] != photo[:, 1]).sum())
    recall = _recall({tuple(row) for row in rows.tolist()}, names, number)
    method = (
        f"{number} photos that look alike and six edits of each in one pool; share of edits that pair with "
        f"their original, mean over edits, at {false} false pairs"
    )
    yield "image_neardup_recall", Figure(
        value=float(np.mean(list(recall.values()))) if not false else None, unit="",
        method=method, n=number * len(names), low=min(recall.values()), high=max(recall.values()),
    )  # fmt: skip
    yield "image_neardup_false_pairs", Figure(
        value=false, unit="pairs", n=len(candidates.rows),
        method=f"of {len(files) * (len(files) - 1) // 2} pairs in the pool; n: pairs laid over each other",
    )  # fmt: skip
    for name, share in recall.items():
        yield (
            f"image_neardup_recall.{name}",
            Figure(value=share, unit="", n=number, method=f"of it the edit {name}"),
        )
    yield "image_signature_per_cpu_s", Figure(
        value=len(files) / read_s, unit="images/CPU s", n=len(files), method="decoding and signature",
    )  # fmt: skip
    yield "image_compare_per_cpu_s", Figure(
        value=len(files) / compare_s, unit="images/CPU s", n=len(files),
        method="hashes of 48 views each, candidates and alignment, among many look-alikes",
    )  # fmt: skip
    yield from _beside(names, files, number)


def _recall(pairs: set[tuple[int, int]], names: Sequence[str], number: int) -> dict[str, float]:
    return {
        name: sum((k, (place + 1) * number + k) in pairs for k in range(number)) / number
        for place, name in enumerate(names)
    }


def _beside(names: Sequence[str], files: Sequence[bytes], number: int) -> Figures:
    """imagehash's pHash on the same files: its best recall without a false pair, and at distance 8."""
    import numpy as np

    from tenfold.data.images.decode import decode
    from tenfold.data.images.signature import signature, unpack

    with tempfile.TemporaryDirectory() as folder:
        for place, file in enumerate(files):
            (Path(folder) / f"{place:06}.jpg").write_bytes(file)
        done = subprocess.run(
            [python("imagehash"), "-c", _PEER, folder], capture_output=True, text=True, check=True
        )
    lines = done.stdout.split()
    theirs_s, hashes = float(lines[0]), np.array([int(word, 16) for word in lines[1:]], np.uint64)
    pixels = [decode(file).pixels for file in files]
    began_s = time.process_time()
    unpack([signature(one) for one in pixels]).hashes()
    ours_s = time.process_time() - began_s
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    photo = np.arange(len(files)) % number
    other = photo[:, None] != photo[None, :]
    nearest_other = int(distance[other].min())
    same = np.stack(
        [
            distance[np.arange(number), (place + 1) * number + np.arange(number)]
            for place in range(len(names))
        ]
    )
    for most, key in ((nearest_other - 1, "at_no_false_pair"), (8, "at_8_bits")):
        false = int((distance[other] <= most).sum()) // 2
        yield f"image_neardup_recall.phash_{key}", Figure(
            value=float((same <= most).mean()), unit="", n=same.size, peer=title("imagehash"),
            method=f"the peer's pHash alone, at most {most} bits apart: {false} false pairs",
        )  # fmt: skip
    yield "image_hash_vs_imagehash", Figure(
        value=theirs_s / ours_s, unit="times", n=len(files), peer=title("imagehash"),
        method="CPU seconds from decoded pixels to hashes; ours makes the whole signature on the way",
    )  # fmt: skip


def growth(quick: bool) -> Figures:
    """What finding candidates costs as the pool grows, beside comparing all pairs."""
    import numpy as np

    from tenfold.data.images import nearby

    sizes = (1000, 4000) if quick else (4000, 16_000, 64_000)
    random = np.random.default_rng(1)
    spent = []
    nearby.pairs(np.arange(8, dtype=np.uint64), np.arange(8, dtype=np.uint64)[:, None], 8)
    for size in sizes:
        kept = random.integers(0, 2**64, size, dtype=np.uint64)
        queries = random.integers(0, 2**64, (size, 48), dtype=np.uint64)
        queries[:, 0] = kept
        queries[1::2, 1] = kept[::2]  # half of them have a twin
        began_s = time.process_time()
        found = nearby.pairs(kept, queries, 8)
        spent.append((time.process_time() - began_s) / size)
        assert len(found) >= size // 2
    yield "image_candidates_growth", spread(
        [1e6 * one for one in spent], "CPU us/image",
        f"random hashes with 48 queries each, {', '.join(map(str, sizes))} images; value: the largest",
        take=lambda values: values[-1],
    )  # fmt: skip
    hashes = random.integers(0, 2**64, sizes[-1], dtype=np.uint64)
    began_s = time.process_time()
    for _ in range(5):
        np.bitwise_count(queries[0][:, None] ^ hashes[None, :]).min()
    yield "image_all_pairs", Figure(
        value=1e6 * (time.process_time() - began_s) / 5, unit="CPU us/image", n=5,
        method=f"48 queries of one image against {sizes[-1]} hashes, all of them, in numpy",
    )  # fmt: skip


MEASURES = {"copies": copies, "growth": growth}


def measure(quick: bool) -> dict[str, Figure]:
    """Every figure by name; see `harness.Figure`. Raises Unavailable where data or the peer is missing."""
    return {name: figure for part in MEASURES.values() for name, figure in part(quick)}


if __name__ == "__main__":
    sys.exit(main("data_images", (__doc__ or "").partition("\n")[0], MEASURES))
