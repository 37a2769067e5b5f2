"""Serving: the gateway, its caches, the backends behind it and the embedded engine."""
