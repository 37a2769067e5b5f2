"""The peers we measure ourselves against, each in a pinned environment of its own.

    python bench/peers.py litellm vllm-router smg

Made once, in the user's cache folder and never in this repository or in our own environment. It knows how
a peer is installed, not how it is started (`gateway_peers.py`) nor what is measured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Unavailable

PINNED = {
    "litellm": ("litellm[proxy]", "1.106.2"),  # what pip chooses on Python 3.11
    "vllm-router": ("vllm-router", "0.1.17"),
    "smg": ("smg", "1.13.0"),
    "datatrove": ("datatrove", "0.10.1"),  # curation of text, beside bench/data_curate.py
    "data-juicer": ("py-data-juicer", "1.6.1"),
    "datasketch": ("datasketch", "2.0.0"),  # MinHash, beside bench/data_dedup.py
    "trafilatura": ("trafilatura", "2.3.1"),  # main text of pages, beside bench/data_html.py
    "imagehash": ("imagehash", "4.3.2"),  # pHash of images, beside bench/data_images.py
    "mlcroissant": ("mlcroissant[parquet]", "1.1.1"),  # judges what tests/data/out writes
    "datasets": ("datasets", "5.2.0"),  # loads what tests/data/out writes, as users would
    "presidio": ("presidio-analyzer", "2.2.366"),  # personal data, beside bench/data_pii.py
}
"""Name -> requirement and version."""
BESIDE = {
    "datatrove": (
        "spacy", "ftfy", "fasttext-numpy2-wheel", "fasteners", "tldextract", "nltk", "regex", "orjson",
        "xxhash<4", "tokenizers",
    ),
    "data-juicer": ("aiohttp",),
    "datasets": ("pillow",),  # decodes images
    "trafilatura": ("lxml_html_clean==0.4.6",),  # its justext asks for an extra that newer lxml renamed
}  # fmt: skip
"""Name -> what it needs and does not always bring: extras without the rest of them, and what was forgotten."""
_READY = "installed"
"""A file in the environment of a peer that was installed to the end."""
SYSTEM = {"nginx": "nginx", "wrk": "wrk"}
"""Programs that come from the system's packages -> the package's name in Debian."""


def folder() -> Path:
    """Where the environments are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenfold" / "peers"


def program(name: str) -> Path:
    """The peer's program. Raises Unavailable, saying how to get it."""
    if name in SYSTEM:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
        if found is None:
            raise Unavailable(f"{name} is not installed: apt-get install {SYSTEM[name]}")
        return Path(found)
    found_at = home(name) / "bin" / name
    if not found_at.exists():
        raise Unavailable(f"{name} is not installed: python bench/peers.py {name}")
    return found_at


def python(name: str) -> Path:
    """The interpreter of a peer that is a library. Raises Unavailable, saying how to get it."""
    if not (home(name) / _READY).exists():
        raise Unavailable(f"{name} is not installed: python bench/peers.py {name}")
    return home(name) / "bin" / "python"


def home(name: str) -> Path:
    """The environment of one peer. A new pin is a new folder: nothing is ever upgraded in place."""
    return folder() / f"{name}-{PINNED[name][1]}"


def title(name: str) -> str:
    """Name and version, as figures name their peer."""
    if name in PINNED:
        return f"{name} {PINNED[name][1]}"
    said = subprocess.run([program(name), "-v"], capture_output=True, text=True)
    words = (said.stderr + said.stdout).split("\n")[0].replace("nginx version: nginx/", "").split()
    return f"{name} {words[0]}"


def make(name: str) -> Path:
    """The peer's environment, made now if it is not there. Raises CalledProcessError when pip fails."""
    ready = home(name)
    if (ready / "bin" / name).exists() or (ready / _READY).exists():
        return ready
    requirement, version = PINNED[name]
    folder().mkdir(parents=True, exist_ok=True)
    # Programs in an environment name its path, so it is made where it stays; a failed one is removed.
    try:
        subprocess.run([sys.executable, "-m", "venv", ready], check=True)
        with tempfile.TemporaryDirectory() as elsewhere:
            subprocess.run(
                [ready / "bin" / "python", "-m", "pip", "install", "-q", f"{requirement}=={version}",
                 *BESIDE.get(name, ())],
                check=True, cwd=elsewhere,
            )  # fmt: skip
        (ready / _READY).touch()
    except BaseException:
        shutil.rmtree(ready, ignore_errors=True)
        raise
    return ready


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(PINNED)}; default: all"
    )
    names = parser.parse_args().names or list(PINNED)
    for name in names:
        if name not in PINNED:
            parser.error(f"no peer {name!r}: there are {', '.join(PINNED)}")
    for name in names:
        print(f"{title(name)}: {make(name)}", flush=True)
    missing = [
        f"{name} (apt-get install {SYSTEM[name]})" for name in SYSTEM if not shutil.which(name)
    ]
    if missing:
        print(f"missing on this system: {', '.join(missing)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
