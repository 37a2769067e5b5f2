"""The judge: whether synthetic rows are like real ones, useful like real ones, and nobody's own.

Nothing synthetic enters the hub without it. `admit` in `verdict` is the gate.
"""
