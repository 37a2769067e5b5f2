"""The hub: records in immutable segments, snapshots of them, and keyed jobs that make one from another.

`writer`, `subjects`, `cutting`: segments. `snapshot`: manifests. `executor`, `pool`, `ray_tasks`: where jobs
run. `job`: what has a key is made once. `stage`, `shuffle`, `cut`: the kinds of jobs. Knows no source and no
operator by name; those are in `catalogue`.
"""
