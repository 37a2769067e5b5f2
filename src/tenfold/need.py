"""Optional packages: what is missing, why it is needed, how to get it.

Heavy packages are imported inside the function that uses them, through `need`, so that `import tenfold`
and `tenfold --help` never pay for them. This file knows no package by name.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from tenfold.errors import MissingExtra


def need(module: str, *, extra: str, why: str) -> ModuleType:
    """Import `module`, or say which extra brings it and what for. `why` completes "needed ..."."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != top:
            raise  # the package is there but one of its own needs is not: do not blame the wrong one
        raise MissingExtra(
            f"the package {top!r} is not installed; it is needed {why}",
            hint=f"pip install 'tenfold[{extra}]'"
            + (" after pip install torch==2.13.0" if extra == "train" else ""),
        ) from None
