"""The list of commands: where each lives and what it does in one line. Imports nothing."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    group: str
    target: str
    """`module:function`, below this package; `module:app` for one with commands of its own."""
    line: str


START, BUILD, RELEASE, SERVE, CARE = "Start", "Build", "Release", "Serve", "Care"

COMMANDS: dict[str, Command] = {
    "demo": Command(START, "demo:demo", "A real run on this machine: data, model, checks, gateway"),
    "init": Command(START, "init:init", "Write a commented factory.yaml to begin with"),
    "doctor": Command(
        START, "doctor:doctor", "Check this machine, and say how to mend what is missing"
    ),
    "plan": Command(BUILD, "run:plan", "What would run, be skipped or be blocked, and why"),
    "run": Command(BUILD, "run:run", "Make what is missing or out of date"),
    "watch": Command(
        BUILD, "watch:watch", "Run again when time, data, drift or a red check says so"
    ),
    "show": Command(BUILD, "show:show", "The factory, or one asset, alias, digest or run"),
    "data": Command(
        BUILD, "data:app", "Datasets: what there is, what was lost and why; cards and exports"
    ),
    "report": Command(BUILD, "report:report", "A run as one HTML file with plots"),
    "labels": Command(
        BUILD, "labels:labels", "What annotators said in a review queue, as JSON Lines"
    ),
    "promote": Command(
        RELEASE, "release:promote", "Point an alias at an asset, if its checks are green"
    ),
    "rollback": Command(
        RELEASE, "release:rollback", "Point an alias back at what it stood at before"
    ),
    "serve": Command(
        SERVE, "serve:serve", "The gateway (OpenAI's and Anthropic's APIs) and the console"
    ),
    "keys": Command(SERVE, "keys:app", "Create, list, rotate and revoke the keys that clients use"),
    "emit": Command(SERVE, "emit:app", "Write configurations of other servers: caches at the edge"),
    "replay": Command(SERVE, "replay:replay", "Send recorded or made-up traffic through a gateway"),
    "why": Command(SERVE, "why:why", "From one answer back to the data it was learned from"),
    "erase": Command(CARE, "erase:erase", "Remove every byte of a person, and certify it"),
    "gc": Command(CARE, "gc:gc", "Remove what nothing points at any more"),
    "schema": Command(CARE, "schema:schema", "The JSON Schema of factory.yaml, for editors"),
}

EXIT_CODES = (
    (0, "done"),
    (1, "a check is red, or a step failed"),
    (2, "asked for something that cannot be: arguments, factory file, names"),
    (3, "the machine: store, ledger, disk, backend"),
    (130, "interrupted with Ctrl-C"),
)


def overview() -> str:
    """The text of `tenfold --help`."""
    width = max(map(len, COMMANDS)) + 2
    lines = [
        "tenfold: an AI factory, from raw data to a served, watched and governed model",
        "",
        "usage: tenfold COMMAND [OPTIONS]      tenfold COMMAND --help      tenfold --version",
    ]
    group = ""
    for name, command in COMMANDS.items():
        if command.group != group:
            group = command.group
            lines += ["", group]
        lines.append(f"  {name:<{width}}{command.line}")
    lines += ["", "Every command takes --json: one JSON document on stdout, nothing else.", ""]
    lines.append("Exit codes")
    lines += [f"  {code:<{width}}{meaning}" for code, meaning in EXIT_CODES]
    return "\n".join(lines)
