"""Runs `train.pretrain` in a process of its own, on a store on disk, and kills itself where it is told.

    python until_killed.py STORE CORPUS_MANIFEST TOKENIZER_MANIFEST CONFIG SEED KILL_AT

Prints the digest of the model when it gets that far. KILL_AT 0: never.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from tenfold.core.asset import Asset, Draft, Manifest, view
from tenfold.stores.local import LocalBlobs
from tenfold.train.pretrain import PretrainConfig, pretrain


class DiskContext:
    asset = "base"
    run_id = "run"
    cpu = 1
    scratch: dict[str, object] = {}  # noqa: RUF012

    def __init__(self, store: Path, seed: int, kill_at: int) -> None:
        self.seed = seed
        self.blobs = LocalBlobs(store)
        self._partial = store / "partial.json"
        self._kill_at = kill_at

    def draft(self, kind: str) -> Draft:
        return Draft(kind, self.blobs.staging())

    def metric(self, name: str, value: float, *, unit: str = "", step: int | None = None) -> None:
        if self._kill_at and step == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def progress(self, done: float, total: float, note: str = "") -> None: ...

    def log(self, event: str, **fields) -> None:
        print(event, fields, file=sys.stderr)

    def checkpoint(self, draft: Draft, step: int) -> None:
        manifest = draft.commit(self.blobs)
        self._partial.write_text(json.dumps([manifest.to_bytes().decode(), step]))

    def resume(self) -> tuple[Asset, int] | None:
        if not self._partial.exists():
            return None
        plain, step = json.loads(self._partial.read_text())
        return view("checkpoint", Manifest.from_bytes(plain), self.blobs), step


def main(store: str, corpus: str, tokenizer: str, config: str, seed: str, kill_at: str) -> None:
    ctx = DiskContext(Path(store), int(seed), int(kill_at))
    inputs = [
        view(Path(path).stem, Manifest.from_bytes(Path(path).read_bytes()), ctx.blobs)
        for path in (corpus, tokenizer)
    ]
    model = pretrain(*inputs, ctx=ctx, config=PretrainConfig(**json.loads(config)))
    print(model.commit(ctx.blobs).digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
