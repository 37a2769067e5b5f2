"""An executor of Ray tasks: the same jobs on a cluster.

Jobs carry paths, so the store must lie where every node sees it under the same path. Ray starts a lost
task again by itself; what a task raises comes back as it was raised. Needs the extra `cluster`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tenfold.data.hub.executor import J, R
from tenfold.errors import InfrastructureError
from tenfold.need import need


@dataclass(frozen=True, slots=True)
class RayTasks:
    address: str = "auto"
    """Of the cluster; `local` starts one here."""
    attempts: int = 3
    in_flight: int = 0
    """Tasks handed over at a time; 0: two per core of the cluster."""

    def map(self, function: Callable[[J], R], jobs: Iterable[J]) -> Iterator[tuple[J, R]]:
        ray: Any = need("ray", extra="cluster", why="to run jobs on a cluster")
        if not ray.is_initialized():
            ray.init(address=self.address, log_to_driver=False, include_dashboard=False)
        remote = ray.remote(function).options(max_retries=self.attempts - 1)
        most = self.in_flight or 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        source = iter(jobs)
        flying = {remote.remote(job): job for job in islice(source, most)}
        try:
            while flying:
                done, _ = ray.wait(list(flying), num_returns=1)
                job = flying.pop(done[0])
                result = self._result(ray, done[0], job)
                for following in islice(source, 1):
                    flying[remote.remote(following)] = following
                yield job, result
        finally:
            for reference in flying:
                ray.cancel(reference, force=True)

    def _result(self, ray: Any, reference: Any, job: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise (error.cause or error) from error
        except ray.exceptions.WorkerCrashedError as error:
            raise InfrastructureError(
                f"a worker died {self.attempts} times at the same job",
                where=str(getattr(job, "label", job)),
                seen=str(error),
                hint="the system kills what takes too much memory: use smaller segments",
            ) from error
