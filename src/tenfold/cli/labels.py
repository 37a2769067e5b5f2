"""`tenfold labels`: the label log of a review queue, for `data.labels` and `data.review`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit


def labels(
    queue: Annotated[
        str | None,
        typer.Argument(help="Name of the queue; without it, all of them are listed."),
    ] = None,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Print what annotators did in a review queue as JSON Lines, or list the queues."""
    with opened(file) as factory:
        if queue is None:
            found = factory.labelling.queues()
            rows = [f"{q.name:<24} {q.done:>6} of {q.wanted} labels  {q.question}" for q in found]
            text = "\n".join(rows) or "no review queue: data.review makes one"
            emit(found, as_json, lambda screen: screen.print(text, markup=False))
            return
        factory.labelling.queue(queue)
        lines = factory.labelling.export(queue)
        if as_json:
            print(json.dumps([json.loads(line) for line in lines], ensure_ascii=False))
        else:
            sys.stdout.writelines(lines)
