"""The gateway's meter, prices and shares, from `tenfold.observe`. The only file here that knows it."""

from __future__ import annotations

from tenfold.observe.attribution import apportion
from tenfold.observe.cost import Tariff
from tenfold.observe.energy import MachinePower, open_meter, usable_cores
from tenfold.serve.gateway.energy import Metering


def observed(tariff: Tariff | None = None, power: MachinePower | None = None) -> Metering:
    """What a Gateway needs to give each request its energy and cost; defaults are observe's own."""
    machine = power or MachinePower()
    return Metering(
        open_meter=lambda pids: open_meter(pids, machine),
        tariff=tariff or Tariff(),
        apportion=apportion,
        num_cores=machine.num_cores or usable_cores(),
    )
