"""What the judge still admits. Plain numbers, so that settings can name them without the judge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What is still admitted."""

    auc: float = 0.55
    """Largest discriminator AUC, 0.5 to 1."""
    auc_reach: float = 0.1
    """Largest half-width of its interval: fewer rows than that needs prove nothing."""
    tstr: float = 0.95
    """Smallest share of what real rows teach, 0 to 1; refused when its whole interval lies below."""
    copies_excess: float = 0.0005
    """Share of exact copies of training rows beyond the hold-out's own, 0 to 1."""
    nearer: float = 0.6
    """How often a synthetic row may be nearer to training than a hold-out row is, 0.5 to 1."""
    very_near: float = 0.06
    """Share of synthetic rows nearer to training than 2 % of the hold-out's rows are, 0.02 to 1."""
    broken: float = 0.0
    """Share of rows that may break a constraint, beyond the hold-out's own, 0 to 1."""
    unknown: float = 0.001
    """Share of rows with a category that no real row has, beyond what the hold-out has, 0 to 1."""
