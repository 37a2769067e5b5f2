"""From the name of a step to the step. Built-in steps are listed by their stages and imported when used;
`module:function` names a step of the user's, in a module beside the factory file or anywhere importable.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType

from tenfold.core.step import Step
from tenfold.errors import ConfigError, UnknownName

STAGES = ("data", "train", "evaluate", "compress", "govern", "plan")


@cache
def built_in() -> dict[str, str]:
    """name -> `module:function` of every step that comes with tenfold."""
    found: dict[str, str] = {}
    for stage in STAGES:
        found.update(importlib.import_module(f"tenfold.{stage}").STEPS)
    return found


def built_in_steps() -> dict[str, Step]:
    """name -> step of everything that comes with tenfold. Imports every stage."""
    return {name: _imported(target) for name, target in sorted(built_in().items())}


def _imported(target: str) -> Step:
    module, _, function = target.partition(":")
    step = getattr(importlib.import_module(module), function)
    assert isinstance(step, Step)
    return step


class Catalogue:
    """Resolves names for one factory directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def names(self) -> list[str]:
        return sorted(built_in())

    def find(self, name: str) -> Step | None:
        """The step, or None when nothing has that name. Raises ConfigError for a module that fails."""
        target = built_in().get(name)
        if target is not None:
            return _imported(target)
        module_name, colon, function = name.partition(":")
        if not colon or not module_name or not function:
            return None
        step = getattr(self._module(module_name), function, None)
        if step is None:
            return None
        if not isinstance(step, Step):
            raise ConfigError(f"{name} is not a step", hint="put @tenfold.step above the function")
        return step

    def get(self, name: str) -> Step:
        step = self.find(name)
        if step is None:
            raise UnknownName("step", name, self.names())
        return step

    def _module(self, name: str) -> ModuleType:
        path = self._directory / f"{name.replace('.', '/')}.py"
        try:
            if not path.is_file():
                return importlib.import_module(name)
            loaded = sys.modules.get(name)
            if loaded is not None and getattr(loaded, "__file__", None) == str(path):
                return loaded
            if (
                str(self._directory) not in sys.path
            ):  # at the end: a neighbour must not hide a package
                sys.path.append(str(self._directory))
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
            return module
        except ModuleNotFoundError as error:
            if error.name != name:
                raise ConfigError(
                    f"the module {name!r} needs {error.name!r}, which is not installed",
                    where=str(path) if path.is_file() else None,
                ) from error
            raise ConfigError(
                f"there is no module {name!r} beside the factory file or on the path",
                hint=f"make {path.name}, or install the package that has it",
            ) from None
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigError(
                f"the module {name!r} does not import: {type(error).__name__}: {error}",
                where=f"{last.filename}:{last.lineno}",
            ) from error


@cache
def source_sha256(step: Step) -> str:
    """Of the function's source text; of its bytecode where there is no source (a notebook, a shell)."""
    function = inspect.unwrap(step.function)
    try:
        text = inspect.getsource(function).encode()
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        text = b"" if code is None else code.co_code + repr(code.co_consts).encode()
    return hashlib.sha256(text).hexdigest()
