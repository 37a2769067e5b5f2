"""The pure heart: assets, keys, the graph, the plan, checks, aliases, triggers, and the ports.

Nothing in here imports anything but the standard library and `tenfold.errors`, reads a clock, opens a
file by itself or draws a random number. What it needs from the world comes in through `core.ports`.
"""
