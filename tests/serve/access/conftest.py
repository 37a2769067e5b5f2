"""The three stores of budgets, and a Redis of our own on a Unix socket."""

from __future__ import annotations

import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenfold.ledger import open_ledger
from tenfold.serve.access.budgets.base import BudgetStore
from tenfold.serve.access.budgets.embedded import EmbeddedBudgets
from tenfold.serve.access.budgets.memory import MemoryBudgets

sys.path.append(str(Path(__file__).parents[3] / "bench"))
from redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_program(require) -> None:
    require(shutil.which("redis-server"), "redis-server")
    pytest.importorskip("redis")


@pytest.fixture(scope="session")
def shared_redis(redis_program) -> Iterator[RedisServer]:
    yield from _redis()


@pytest.fixture
def redis_server(redis_program) -> Iterator[RedisServer]:
    """One that the test may kill."""
    yield from _redis()


def _redis() -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))  # a socket's path must be short
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["memory", "embedded", "redis"])
def new_store(request, tmp_path) -> Callable[[], BudgetStore]:
    """Makes empty stores of one kind."""
    if request.param == "memory":
        return MemoryBudgets
    if request.param == "embedded":
        return lambda: EmbeddedBudgets(tmp_path / f"{uuid.uuid4().hex}.lmdb", megabytes=4)
    from tenfold.serve.access.budgets.redis import RedisBudgets

    server = request.getfixturevalue("shared_redis")
    return lambda: RedisBudgets(server.url, prefix=uuid.uuid4().hex)


@pytest.fixture
def ledger():
    opened = open_ledger("memory:")
    yield opened
    opened.close()
