"""From a policy's name to the policy."""

from __future__ import annotations

from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.policies.least_outstanding import LeastOutstanding
from tenfold.serve.router.policies.policy import Policy


def open_policy(config: RouterConfig) -> Policy:
    return LeastOutstanding()
