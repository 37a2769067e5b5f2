"""What tests of every room share: a Context that listens, requirements, and a real PostgreSQL."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tenfold.core.asset import Asset, Corpus, Document, Draft, Manifest, view
from tenfold.core.ports import Blobs
from tenfold.stores.memory import MemoryBlobs

Require = Callable[[object, str], None]

# Machines are shared: examples have no deadline, and few are drawn unless a test asks for more.
hypothesis.settings.register_profile("tenfold", deadline=None, max_examples=50)
hypothesis.settings.load_profile("tenfold")


@pytest.fixture(scope="session")
def require() -> Require:
    """`require(shutil.which("nginx"), "nginx")`: skips where that is missing, but fails in CI, so that
    nothing goes untested for long without anybody noticing."""

    def check(present: object, what: str) -> None:
        if present:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is not here, and CI must test everything", pytrace=False)
        pytest.skip(f"{what} is not here")

    return check


class Postgres:
    """A PostgreSQL of our own on a Unix socket, from the system's binaries, that may be stopped and
    started again."""

    def __init__(self, binary: Path, folder: Path) -> None:
        # It refuses to run as root; the user its package made will do.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._binary, self._folder = binary, folder
        name = self._user or getpass.getuser()
        self._base = f"host={folder} user={name}"
        self.url = f"postgresql://{name}@/postgres?host={folder}"
        if self._user is not None:
            shutil.chown(folder, self._user)
        subprocess.run(
            [binary.with_name("initdb"), "-D", folder / "data", "-A", "trust", "--no-sync"],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        import psycopg

        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._binary, "-D", self._folder / "data", "-k", self._folder,
                 "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"],
                user=self._user, cwd=self._folder, stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(300):
            try:
                psycopg.connect(f"{self._base} dbname=postgres").close()
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None:
                    pytest.fail((self._folder / "log").read_text(), pytrace=False)
                time.sleep(0.05)

    def stop(self) -> None:
        """At once, with every connection; what was committed stays."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait(20)


@pytest.fixture(scope="session")
def postgres(require: Require) -> Iterator[Postgres]:
    """Started; gone afterwards."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = [shutil.which("postgres"), *map(str, reversed(homes))]
    binary = next((Path(path) for path in found if path), None)
    require(binary, "PostgreSQL")
    assert binary is not None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    try:
        server = Postgres(binary, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(postgres: Postgres) -> str:
    return postgres.url


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """An empty schema, for one test."""
    import psycopg

    schema = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{postgres_server}&options=-csearch_path%3D{schema}"


@pytest.fixture
def small_disk(tmp_path: Path, require: Require) -> Iterator[Path]:
    """A real filesystem of 4 MiB, to be filled up."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


class Recorder:
    """What a step sees while it runs; afterwards, what it said."""

    def __init__(self, folder: Path, seed: int = 7, blobs: Blobs | None = None) -> None:
        self.blobs: Blobs = MemoryBlobs() if blobs is None else blobs
        self.pieces: dict[str, Manifest] = {}
        self.asset, self.run_id, self.seed, self.cpu = "made", "run", seed, 1
        self.scratch: dict[str, Any] = {"factory": "test", "directory": str(folder)}
        self.folder = folder
        self.metrics: dict[str, float] = {}
        self.logs: list[tuple[str, dict[str, Any]]] = []
        self._drafts = 0

    def draft(self, kind: str) -> Draft:
        self._drafts += 1
        folder = self.folder / f".draft{self._drafts}"
        folder.mkdir()
        return Draft(kind, folder)

    def metric(self, name: str, value: float, *, unit: str = "", step: int | None = None) -> None:
        if step is None:
            self.metrics[name] = value

    def progress(self, done: float, total: float, note: str = "") -> None:
        pass

    def log(self, event: str, **fields: Any) -> None:
        self.logs.append((event, fields))

    def checkpoint(self, draft: Draft, step: int) -> None:
        raise AssertionError("these steps do not checkpoint")

    def resume(self) -> None:
        return None

    def keep(self, key: str, draft: Draft) -> Asset:
        manifest = draft.commit(self.blobs)
        self.pieces[key] = manifest
        return view("piece", manifest, self.blobs)

    def piece(self, key: str) -> Asset | None:
        manifest = self.pieces.get(key)
        return view("piece", manifest, self.blobs) if manifest else None


@pytest.fixture
def ctx(tmp_path, blobs) -> Recorder:
    return Recorder(tmp_path, blobs=blobs)


@pytest.fixture(scope="session")
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def commit(blobs):
    """Draft -> asset, as the engine does it."""
    return lambda draft, name="made": view(name, draft.commit(blobs), blobs)


@pytest.fixture
def corpus_of(commit):
    """Texts (or source -> text) -> corpus."""

    def make(texts) -> Corpus:
        pairs = texts.items() if isinstance(texts, Mapping) else enumerate(texts)
        return commit(
            Corpus.write(
                Draft(Corpus.kind),
                [
                    Document(f"id{n}", text, f"{name}", "CC0-1.0")
                    for n, (name, text) in enumerate(pairs)
                ],
            )
        )

    return make


@pytest.fixture
def run(ctx, commit):
    """Run a step with settings as a factory file gives them; returns the committed asset."""

    def go(step, *inputs, **config):
        return commit(step.invoke(inputs, ctx, step.configure(config)))

    return go


def _shared(part: str) -> Path:
    """Sample data and weights too large for the repository, beside it where the machine has them."""
    for place in (os.environ.get("TENFOLD_SHARED"), Path(__file__).parents[2] / "shared"):
        if place and (Path(place) / part).is_dir():
            return Path(place) / part
    pytest.skip(f"{part} is not here; point TENFOLD_SHARED at the folder that has it")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Sample data."""
    return _shared("data")


@pytest.fixture(params=["stories260K", "babyllama105"])
def published(request: pytest.FixtureRequest) -> Path:
    """Weights that others trained and published, as transformers folders."""
    return _shared(f"models/{request.param}")
