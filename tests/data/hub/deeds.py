"""What workers do in tests; in a module of its own so that they can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tenfold.errors import ConfigError


class Stubborn(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def square(number: int) -> int:
    return number * number


def refuse_odd(number: int) -> int:
    if number % 2:
        raise ConfigError("not odd", seen=number, hint="take another")
    return number


def stubborn(number: int) -> int:
    raise Stubborn("cannot ", "travel")


def dies_at_first(job: tuple[int, str]) -> int:
    if not Path(job[1]).exists():
        Path(job[1]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job[0]


def dies(count: str) -> None:
    with Path(count).open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def pid_then_wait(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()
