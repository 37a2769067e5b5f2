"""Where jobs run: an executor maps one function over many jobs. Three of them do the same thing.

`Serial` runs them here, `pool.ProcessPool` in processes of this machine, `ray_tasks.RayTasks` on a cluster.
The function is a module's own and a job is small and can be pickled: paths and settings, never records.
Jobs are drawn from their iterator only when somebody is free, so there may be any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tenfold.errors import ConfigError

J = TypeVar("J")
R = TypeVar("R")


class Executor(Protocol):
    def map(self, function: Callable[[J], R], jobs: Iterable[J]) -> Iterator[tuple[J, R]]:
        """Each job with its result, as they finish, in no promised order.

        Raises what the function raised; a worker that dies is replaced and its job tried again, and
        InfrastructureError is raised when it dies every time. Closing the iterator stops the workers.
        """
        ...


@dataclass(frozen=True, slots=True)
class Serial:
    """One job after the other in this process. Nothing to start, nothing that can die alone."""

    def map(self, function: Callable[[J], R], jobs: Iterable[J]) -> Iterator[tuple[J, R]]:
        for job in jobs:
            yield job, function(job)


def executor(workers: int, num_jobs: int, cluster: str = "") -> Executor:
    """The cheapest that serves: nothing is started for one job or one worker.

    `cluster` is the address of a Ray cluster, `auto` or `ray://...`; empty: this machine.
    """
    if workers < 1:
        raise ConfigError("workers must be 1 or more", seen=workers)
    if cluster:
        from tenfold.data.hub.ray_tasks import RayTasks

        return RayTasks(address=cluster)
    if min(workers, num_jobs) <= 1:
        return Serial()
    from tenfold.data.hub.pool import ProcessPool

    return ProcessPool(min(workers, num_jobs))
