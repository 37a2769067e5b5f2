"""From a policy's name in the settings to the policy."""

from __future__ import annotations

from collections.abc import Callable

from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.policies.cost import Cost
from tenfold.serve.router.policies.joules import Joules
from tenfold.serve.router.policies.latency import Latency
from tenfold.serve.router.policies.least_outstanding import LeastOutstanding
from tenfold.serve.router.policies.policy import Policy
from tenfold.serve.router.policies.power_of_two import PowerOfTwo
from tenfold.serve.router.policies.prefix import Prefix
from tenfold.serve.router.policies.region import Region
from tenfold.serve.router.policies.weighted import Weighted
from tenfold.serve.router.prefix import PrefixTable

_MAKERS: dict[str, Callable[[RouterConfig], Policy]] = {
    "least-outstanding": lambda config: LeastOutstanding(),
    "power-of-two": lambda config: PowerOfTwo(),
    "latency": lambda config: Latency(),
    "cost": lambda config: Cost(config.spill_share),
    "joules": lambda config: Joules(config.spill_share),
    "region": lambda config: Region(config.spill_share, config.regions),
    "prefix": lambda config: Prefix(
        config.prefix_load, PrefixTable(config.prefix_entries, config.prefix_ttl_s)
    ),
    "weighted": lambda config: Weighted(),
}
_SETTINGS = ("policy", "spill_share", "regions", "prefix_load", "prefix_entries", "prefix_ttl_s")


def open_policy(config: RouterConfig) -> Policy:
    """`config.policy` is a name it has: RouterConfig checks that."""
    return _MAKERS[config.policy](config)


def same_policy(one: RouterConfig, other: RouterConfig) -> bool:
    """Whether a policy may stay, with what it has learnt, when settings are exchanged."""
    return all(getattr(one, name) == getattr(other, name) for name in _SETTINGS)
