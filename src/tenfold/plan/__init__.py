"""Before and after: request streams, their replay against a gateway, and what that says about capacity."""

from __future__ import annotations

STEPS: dict[str, str] = {
    "plan.workload": "tenfold.plan.workload:workload",
    "plan.replay": "tenfold.plan.replay:replay",
}
