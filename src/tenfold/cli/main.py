"""From arguments to an exit code: finds the command, imports it alone, and turns errors into messages.

`tenfold --help` is answered from the list of commands, before any library is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from tenfold.cli.commands import COMMANDS, overview
from tenfold.cli.failure import report
from tenfold.errors import TenfoldError, UnknownName, UsageError

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `tenfold` command. Always ends with SystemExit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except TenfoldError as error:
        report(error, as_json)
        code = error.exit_code
    except KeyboardInterrupt:
        report(
            TenfoldError("interrupted", hint="finished steps are kept: the same command goes on"),
            as_json,
        )
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Nothing is left to say to it, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except Exception as error:
        if not as_json:
            raise  # a fault of ours: the traceback is what a bug report needs
        report(
            TenfoldError(f"{type(error).__name__}: {error}", hint="this is a bug: report it"), True
        )
        code = TenfoldError.exit_code
    raise SystemExit(code)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if words else UsageError.exit_code
    if words[0] in ("-V", "--version"):
        return _version("--json" in words)
    if words[0] not in COMMANDS:
        what = "option" if words[0].startswith("-") else "command"
        known = ["--help", "--version"] if what == "option" else COMMANDS
        raise UnknownName(what, words[0], known, hint=_hint(words[0], known))
    return _call(words[0], words[1:])


def _hint(word: str, known: Any) -> str:
    from tenfold.errors import suggestion

    near = suggestion(word, known)
    return near if near and near.startswith("did") else "tenfold --help lists what there is"


def _call(name: str, words: list[str]) -> int:
    import typer
    from typer.main import get_command

    module, _, attribute = COMMANDS[name].target.partition(":")
    target = getattr(importlib.import_module(f"tenfold.cli.{module}"), attribute)
    if isinstance(target, typer.Typer):
        app = target
    else:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name)(target)
    try:
        result = get_command(app).main(words, prog_name=f"tenfold {name}", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _argument_errors() as error:
        raise UsageError(_said(error), hint=f"tenfold {name} --help") from None
    if result == INTERRUPTED:  # newer Typers make this of a Ctrl-C
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def _argument_errors() -> tuple[type[Exception], ...]:
    """Typer's errors about arguments. Where their base class lives has changed between its releases."""
    import typer

    return tuple(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _said(error: Any) -> str:
    text = error.format_message().strip().rstrip(".") or "a command is missing"
    return text[:1].lower() + text[1:]


def _version(as_json: bool) -> int:
    import json
    import platform

    from tenfold import __version__

    facts = {"tenfold": __version__, "python": platform.python_version()}
    print(json.dumps(facts) if as_json else f"tenfold {__version__} (Python {facts['python']})")
    return 0
