"""`tenfold doctor`."""

from __future__ import annotations

from pathlib import Path

from tenfold import settings
from tenfold.cli.checkup import Finding, checkup
from tenfold.cli.options import FACTORY_FILE, File, Json
from tenfold.cli.output import emit, mark, table
from tenfold.errors import InfrastructureError, SpecError


def doctor(file: File = FACTORY_FILE, as_json: Json = False) -> int:
    """Check this machine and this factory, and say how to mend what is missing. Exit code 3 on a fault."""
    store, host, port, findings = _factory(file)
    findings += checkup(store, host, port)
    healthy = all(finding.state != "fault" for finding in findings)

    def render(screen: object) -> None:
        rows = table("what", "state", "seen", "to do")
        for finding in findings:
            rows.add_row(finding.what, mark(finding.state), finding.seen, finding.fix)
        screen.print(rows)  # type: ignore[attr-defined]

    emit({"healthy": healthy, "findings": findings}, as_json, render)
    return 0 if healthy else InfrastructureError.exit_code


def _factory(file: Path) -> tuple[Path, str, int, list[Finding]]:
    """Where the factory of this folder keeps and serves things; the defaults when there is none."""
    path = file / FACTORY_FILE if file.is_dir() else file
    store, host, port = Path(".tenfold"), "127.0.0.1", 8080
    findings = []
    if path.exists():
        from tenfold.spec.load import load

        try:
            spec = load(path)
            store = spec.directory / spec.store
            host, port = (spec.serve.host, spec.serve.port) if spec.serve else (host, port)
            findings.append(Finding("factory", "ok", f"{path}: {len(spec.assets)} assets"))
        except SpecError as error:
            findings.append(
                Finding("factory", "fault", error.faults[0], "tenfold plan lists every fault")
            )
    else:
        findings.append(Finding("factory", "ok", "none in this folder", "tenfold init writes one"))
    return Path(settings.load().store or store).absolute(), host, port, findings
