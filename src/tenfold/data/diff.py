"""`data.diff`: the gauges of two snapshots side by side, and which of the changes are beyond noise.

Records that both have are drawn together, so a change of few records shows although samples are small. Knows
what `data.measure` knows.
"""

from __future__ import annotations

from tenfold.core.asset import Asset, Draft, Report, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.data.measure import FORMAT, GaugesConfig, method, observe, only, wanted
from tenfold.need import need


@step(
    version="1",
    name="data.diff",
    produces=Report,
    resources=Resources(cpu=1, memory_bytes=3 << 30),
    observe=observe,
)
def diff(
    before: Snapshot, after: Snapshot, *target: Asset, ctx: Context, config: GaugesConfig
) -> Draft:
    """After minus before. Metrics: beyond_noise (how many gauges), shared_share, and FAMILY.GAUGE.change with
    .low and .high, and .beyond_noise (0 or 1). Raises InputError for more than one target."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from dataclasses import asdict

    from tenfold.data.gauges import difference
    from tenfold.data.gauges.gauging import about, readings
    from tenfold.data.gauges.profile import profile

    asked = wanted(config, ctx, (before, after))
    wish = profile(only(target), asked.records) if target else None
    (old, earlier), (new, later) = (readings(each, asked, wish) for each in (before, after))
    found = difference.differences(old.gauges, new.gauges, (earlier, later), asked.seed)
    shared = difference.shared_share(earlier, later)
    draft = ctx.draft(Report.kind)
    draft.write_json(
        Report.FILE,
        {
            "format": FORMAT,
            "kind": "difference",
            "method": {**method(config, asked), "family_error": difference.ERROR},
            "snapshots": [before.digest, after.digest],
            "shared_share": shared if shared == shared else None,
            "figures": [asdict(each) for each in found],
            "absent": {**old.absent, **new.absent},
            "tables": [old.tables, new.tables],
            "sample": [about(earlier), about(later)],
        },
    )
    draft.meta.update(subject=after.digest, before=before.digest)
    ctx.metric("beyond_noise", sum(each.beyond_noise for each in found), unit="gauges")
    if shared == shared:
        ctx.metric("shared_share", shared, unit="share")
    for each in found:
        ctx.metric(f"{each.name}.change", each.change, unit=each.unit)
        ctx.metric(f"{each.name}.beyond_noise", float(each.beyond_noise))
        if each.low is not None and each.high is not None:
            ctx.metric(f"{each.name}.change.low", each.low, unit=each.unit)
            ctx.metric(f"{each.name}.change.high", each.high, unit=each.unit)
    return draft
