"""Gauges: how diverse, fresh, relevant, covered, clean and unique the records of a snapshot are, with intervals.

Everything is measured on a sample of bounded size, so a snapshot of any size costs about the same. Knows
snapshots, records and the columns operators write; changes nothing.

sample       which records are looked at                interval   bootstrap weights, percentiles
gauge        the three shapes of a gauge, a Figure      profile    a target to be relevant to
diversity freshness relevance coverage rates integration   one family of gauges each
gauging      all families over one snapshot             difference two snapshots, and what is beyond noise
"""
