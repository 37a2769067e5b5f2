"""Tiers: places an answer can come from that are cheaper than a model."""
