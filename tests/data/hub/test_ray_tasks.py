"""Ray tasks do what processes do. Skipped where the extra `cluster` is not installed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from tenfold.data.hub.ray_tasks import RayTasks
from tenfold.data.refine import refine
from tenfold.errors import ConfigError, InfrastructureError, MissingExtra

try:
    import ray
except ModuleNotFoundError:
    ray = None


@pytest.fixture(scope="module")
def tasks():
    if ray is None:
        pytest.skip("ray is not installed")
    places = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(places)}}
    ray.init(address="local", num_cpus=2, include_dashboard=False, runtime_env=environment)
    yield RayTasks(in_flight=3)
    ray.shutdown()


@pytest.fixture
def deeds(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import deeds

    return deeds


@pytest.mark.skipif(ray is not None, reason="ray is installed")
def test_without_ray_the_extra_is_named():
    with pytest.raises(MissingExtra, match="to run jobs on a cluster") as caught:
        list(RayTasks().map(len, ["a"]))
    assert "tenfold[cluster]" in caught.value.hint


def test_every_job_comes_back_once_and_few_are_drawn_ahead(tasks, deeds):
    drawn, seen = [], []
    for job, result in tasks.map(deeds.square, (drawn.append(n) or n for n in range(20))):
        seen.append((job, result))
        assert len(drawn) <= len(seen) + 3
    assert sorted(seen) == [(n, n * n) for n in range(20)]


def test_errors_and_deaths(tasks, deeds, tmp_path):
    with pytest.raises(ConfigError, match="not odd"):
        list(tasks.map(deeds.refuse_odd, range(4)))
    jobs = [(n, str(tmp_path / str(n))) for n in range(3)]
    assert dict(tasks.map(deeds.dies_at_first, jobs)) == {job: job[0] for job in jobs}
    short = dataclasses.replace(tasks, attempts=2)
    with pytest.raises(InfrastructureError, match="died 2 times"):
        list(short.map(deeds.dies, [str(tmp_path / "count")]))
    assert len((tmp_path / "count").read_text()) == 2


def test_a_refined_snapshot_has_the_same_bytes(
    tasks, batch_of, texts, snapshot_of, run, ctx, marking
):
    made = snapshot_of([batch_of(texts(600))], 50_000)
    operators = [{"marking:Length": {"least": 300}}]
    here = run(refine, made, operators=operators).digest
    ctx.pieces.clear()
    assert run(refine, made, operators=operators, cluster="local").digest == here
