"""How many threads the model maths may use here, given back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cores(num: int) -> Iterator[None]:
    """torch with `num` threads. More threads than granted cores spin against each other: measured on two
    busy cores, two threads were thirty times slower than one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, num))
    try:
        yield
    finally:
        torch.set_num_threads(before)
