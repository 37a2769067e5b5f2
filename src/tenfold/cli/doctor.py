"""`tenfold doctor`."""

from __future__ import annotations

from pathlib import Path

from tenfold import settings
from tenfold.cli.checkup import Finding, checkup
from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, mark, table
from tenfold.errors import InfrastructureError, SpecError, TenfoldError


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
    store, host, port = Path(settings.load().store or ".tenfold"), "127.0.0.1", 8080
    findings = []
    if path.exists():
        try:
            with opened(file) as factory:
                spec = factory.spec
                assert spec is not None, "a factory that was loaded has its file"
                store = spec.directory / (settings.load().store or spec.store)
                host, port = (spec.serve.host, spec.serve.port) if spec.serve else (host, port)
                if store.exists():
                    factory.queries.runs(1)  # opens store and ledger: a newer version's are refused
            findings.append(Finding("factory", "ok", f"{path}: {len(spec.assets)} assets"))
        except TenfoldError as error:
            faults = isinstance(error, SpecError)
            seen = error.faults[0] if isinstance(error, SpecError) else error.fact
            fix = "tenfold plan says it in full" if faults else error.hint or "tenfold plan"
            findings.append(Finding("factory", "fault", seen, fix))
    else:
        findings.append(Finding("factory", "ok", "none in this folder", "tenfold init writes one"))
    return store.absolute(), host, port, findings
