"""Erasing a person: from every asset, cache, file and fact of a factory's store, provably.

The order makes a kill harmless at any point. First blobs are written without the person; then one transaction
of the ledger exchanges outputs, inputs and aliases; only then old blobs go. Running it again with the same
person takes it up where it stopped: what is left is found by searching, not by a list of work. At the end all
bytes are searched once more, and what was done is signed. Knows no format (tenfold.data.privacy does).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import settings
from tenfold.core.asset import Manifest, Snapshot
from tenfold.core.facts import AuditEntry, Partial, Run, StepResult
from tenfold.core.keys import canonical_json
from tenfold.errors import InfrastructureError, UsageError
from tenfold.factory.erased_files import FileCleaner, busy, held_alone, state_files
from tenfold.factory.erased_outputs import cleaned_manifest, descendants, encoded, recounted
from tenfold.factory.erased_snapshots import rewritten
from tenfold.factory.subject_key import FOLDER, subject_key_file

if TYPE_CHECKING:
    from tenfold.data.privacy.person import Person
    from tenfold.data.privacy.subject_key import SubjectKey
    from tenfold.factory.factory import Factory
    from tenfold.ledger.erasure import Exchange

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What came of it. `left` is 0, or `certificate["left"]` says where bytes are that could not go."""

    certificate: Mapping[str, Any]
    file: Path
    left: int


def read_person(identifiers: Sequence[str] = (), file: Path | None = None) -> Person:
    """Whom to erase, by what a command line or a file says. See tenfold.data.privacy.person."""
    from tenfold.data.privacy import person

    return person.read_person(identifiers, file)


def subject_key(factory: Factory) -> SubjectKey:
    """The key of this factory's stand-ins, subjects and certificates, made at first use."""
    from tenfold.data.privacy.subject_key import open_key

    _folder(factory)  # with its owner's rights, before a file is in it
    file = subject_key_file(factory)
    assert file is not None
    return open_key(file)


def erase(
    factory: Factory, person: Person, *, actor: str | None = None, say: Say = lambda line: None
) -> Erasure:
    """Raises UsageError for a factory in memory, InfrastructureError while a run or a gateway goes on."""
    from tenfold.data.privacy.certificate import digest_of, sign

    key = subject_key(factory)
    started_s = time.monotonic()
    with held_alone(_folder(factory) / "lock"):
        _check_idle(factory)
        who = actor or settings.load().actor
        work = _Work(factory, person, key, who)
        say("searching")
        work.search()
        say(f"rewriting {len(work.affected)} files")
        work.exchange()
        work.remove_blobs()
        work.clean_files()
        work.clean_ledger()
        say("searching all bytes again")
        left = work.left()
        body = work.body(left, time.monotonic() - started_s)
        certificate = sign(body, key)
        factory.ledger.audit(
            who, "erase", work.id, {"certificate": digest_of(certificate)}, body["at_s"]
        )
        file = work.keep(certificate)
    return Erasure(certificate=certificate, file=file, left=sum(left.values()))


def verify(factory: Factory, file: Path) -> list[str]:
    """Why a certificate does not hold; empty when it does: signed here, unchanged, in an audit whose chain is
    whole, and the blobs it says are gone are gone."""
    from tenfold.data.privacy.certificate import digest_of, read_certificate, verified
    from tenfold.ledger.audit import first_broken

    certificate = read_certificate(file)
    fault = verified(certificate, subject_key(factory))
    if fault is not None:
        return [fault]
    faults = []
    entries = factory.ledger.read(AuditEntry)
    broken = first_broken(entries)
    if broken is not None:
        faults.append(f"the audit's chain is broken at entry {broken.seq}")
    noted = [e.detail.get("certificate") for e in entries if e.action == "erase"]
    if digest_of(certificate) not in noted:
        faults.append("the audit does not hold it")
    known = {ref.sha256 for ref, _ in factory.blobs.listing()}
    faults += [
        f"the blob {sha[:12]} is there again"
        for sha in certificate["blobs_removed"]
        if sha in known
    ]
    if certificate["left"]:
        faults.append(f"{sum(certificate['left'].values())} bytes of the person were left")
    return faults


class _Work:
    def __init__(self, factory: Factory, person: Person, key: SubjectKey, actor: str) -> None:
        from tenfold.data.privacy.traces import Traces

        self.factory = factory
        self.traces = Traces(person)
        self.key = key
        self.actor = actor
        forms = person.forms()
        self.subjects = frozenset(map(key.subject, forms))
        self.id = key.digest("erasure", "\n".join(forms)).hex()[:16]
        self.cleaner = FileCleaner(self.traces, self.subjects)
        self.affected: dict[str, bool] = {}
        """SHA-256 -> whether a trace was seen; else only the words of a name, or a subject's hash."""
        self.clean: set[str] = set()
        """SHA-256 of blobs in which there is nothing: they never change, so once is enough."""
        self.searched_files = self.searched_bytes = 0
        self.rewritten: list[dict[str, Any]] = []
        self.blobs_removed: list[str] = []
        self.files: list[dict[str, Any]] = []
        self.rows: dict[str, int] = {}
        self.compacted = False

    def search(self) -> None:
        for ref, _ in self.factory.blobs.listing():
            self.searched_files += 1
            self.searched_bytes += ref.num_bytes
            sure = self.cleaner.suspects(self.factory.blobs.path(ref.sha256))
            if sure is not None:
                self.affected[ref.sha256] = sure
            else:
                self.clean.add(ref.sha256)

    def exchange(self) -> None:
        """New blobs first, then the facts, in one transaction."""
        from tenfold.ledger.erasure import exchange

        results = self.factory.ledger.read(StepResult)
        made: dict[str, Exchange] = {}
        for result in results:
            old = result.output
            if old.digest not in made and (new := self._cleaned(result, made)) is not old:
                made[old.digest] = self._exchange(result, new)
        for result in descendants(results, {*made, *self._earlier()}):
            if result.output.digest not in made and encoded(result, self.factory.blobs):
                made[result.output.digest] = self._exchange(result, None)
        partials = [p.key for p in self.factory.ledger.read(Partial) if self._touched(p.output)]
        if made or partials:
            exchange(
                self.factory.ledger, list(made.values()), partials=partials, erasure=self.id,  # type: ignore[arg-type]
                actor=self.actor, at_s=time.time(),
            )  # fmt: skip

    def _exchange(self, result: StepResult, new: Manifest | None) -> Exchange:
        from tenfold.ledger.erasure import Exchange

        gone = () if new else tuple(ref.sha256 for ref in result.output.files.values())
        return Exchange(asset=result.asset, old=result.output.digest, new=new, blobs=gone)

    def _touched(self, manifest: Manifest) -> bool:
        return any(ref.sha256 in self.affected for ref in manifest.files.values())

    def _parents(self, made: Mapping[str, Exchange]) -> dict[str, str | None]:
        """Old digest -> new one, of this erasure and of earlier ones."""
        return self._earlier() | {
            old: None if each.new is None else each.new.digest for old, each in made.items()
        }

    def _cleaned(self, result: StepResult, made: Mapping[str, Exchange]) -> Manifest | None:
        """The output without the person: itself when there is nothing of them, None when it must go whole."""
        files = dict(result.output.files)
        for name, ref in result.output.files.items():
            if ref.sha256 not in self.affected:
                continue
            done = self.cleaner.blob(name, ref, self.factory.blobs, self.affected[ref.sha256])
            if done is None:
                self.rewritten.append(self._line(result, name, "removed, to be made again"))
                return None
            fresh, note = done
            if fresh != ref:
                files[name] = fresh
                self.rewritten.append(self._line(result, name, note))
        if Snapshot.FILE in files and files != result.output.files:
            parents = {old: new for old, new in self._parents(made).items() if new is not None}
            whole = rewritten(result.output, files, self.factory.blobs, parents)
            return cleaned_manifest(whole, self.traces)
        changed = cleaned_manifest(replace(result.output, files=files), self.traces)
        if changed.to_bytes() == result.output.to_bytes():
            return result.output
        gone = {
            name: self.cleaner.gone.get(ref.sha256, ()) for name, ref in result.output.files.items()
        }
        return recounted(changed, gone)

    def _line(self, result: StepResult, name: str, note: str) -> dict[str, Any]:
        return {"asset": result.asset, "digest": result.output.digest, "file": name, "done": note}

    def remove_blobs(self) -> None:
        """At once, without the grace time of garbage collection: nothing refers to them any more."""
        ledger, blobs = self.factory.ledger, self.factory.blobs
        outputs = [result.output for result in ledger.read(StepResult)]
        wanted = {ref.sha256 for output in outputs for ref in output.files.values()}
        wanted |= {ref.sha256 for p in ledger.read(Partial) for ref in p.output.files.values()}
        removed = {sha for entry in self._audit() for sha in entry.detail["blobs"]}
        known = {ref.sha256 for ref, _ in blobs.listing()}
        for sha256 in sorted((removed | {*self.affected}) & known - wanted):
            blobs.delete(sha256)
            self.blobs_removed.append(sha256)
        blobs.sweep_leftovers(-1.0, {output.digest for output in outputs})

    def _earlier(self) -> dict[str, str | None]:
        """Old digest -> new one, of all that was exchanged for this person: also by a run that was killed."""
        found: dict[str, str | None] = {}
        for entry in self._audit():
            for _, old, new in entry.detail["results"]:
                found[old] = new
        return {**found, **{new: new for new in found.values() if new is not None}}

    def _audit(self) -> Sequence[AuditEntry]:
        return self.factory.ledger.read(AuditEntry, action="erase.exchange", subject=self.id)

    def clean_files(self) -> None:
        """Caches, batches, spools and whatever else lies beside the blobs."""
        for path in self._state_files():
            done = self.cleaner.state_file(path)
            if done is not None:
                self.files.append({"file": self._relative(path), "done": done})

    def clean_ledger(self) -> None:
        from tenfold.ledger.erasure import blank

        def clean(text: bytes) -> tuple[bytes, int]:
            return self.traces.blanked(text, f"erased-{self.id[:8]}".encode())

        self.rows = blank(self.factory.ledger, clean)  # type: ignore[arg-type]
        self.compacted = self.factory.ledger.compact()  # type: ignore[attr-defined]

    def left(self) -> dict[str, int]:
        """File -> bytes of the person, over every byte of the store folder that was not searched before."""
        found = {}
        for path in sorted(p for p in self._root.rglob("*") if p.is_file() and not p.is_symlink()):
            count = 0 if path.name in self.clean else self.cleaner.traces_in(path)
            if count:
                found[self._relative(path)] = count
        return found

    def body(self, left: Mapping[str, int], wall_s: float) -> dict[str, Any]:
        earlier = self._earlier()
        results = self.factory.ledger.read(StepResult)
        body = {
            "erasure": self.id,
            "at_s": time.time(),
            "actor": self.actor,
            "factory": self.factory.name,
            "subjects": sorted(subject.hex() for subject in self.subjects),
            "searched": {
                "blobs": self.searched_files,
                "bytes": self.searched_bytes,
                "wall_s": round(wall_s, 3),
            },
            "rewritten": self.rewritten,
            "exchanged": [pair for entry in self._audit() for pair in entry.detail["results"]],
            "checkpoints_dropped": [
                k for entry in self._audit() for k in entry.detail["checkpoints"]
            ],
            "aliases": sorted({a for entry in self._audit() for a in entry.detail["aliases"]}),
            "blobs_removed": self.blobs_removed,
            "files": self.files,
            "ledger_rows": self.rows,
            "ledger_compacted": self.compacted,
            "descendants": [
                {"asset": r.asset, "digest": r.output.digest, "kind": r.output.kind, "step": r.step}
                for r in descendants(results, set(earlier))
                if r.output.digest not in earlier
            ],
            "not_reached": self._not_reached(),
            "left": dict(left),
        }
        clean, _ = self.traces.blanked(canonical_json(body))  # a file's name may tell, too
        return dict(json.loads(clean))

    def _not_reached(self) -> list[str]:
        missing = ["what was read from sources stays there: collecting again brings it back"]
        serve = self.factory.spec.serve if self.factory.spec is not None else None
        if serve is not None and serve.redis_url_env is not None:
            missing.append("answers shared in Redis: purge them through the gateway")
        if not self.compacted:
            missing.append("free space of the ledger's database: its administrator vacuums it")
        return missing

    def keep(self, certificate: Mapping[str, Any]) -> Path:
        folder = _folder(self.factory) / "certificates"
        folder.mkdir(exist_ok=True, mode=0o700)
        file = folder / f"{self.id}-{int(certificate['at_s'])}.json"
        building = file.with_suffix(".tmp")
        building.write_text(json.dumps(certificate, indent=1, sort_keys=True) + "\n")
        building.replace(file)
        return file

    @property
    def _root(self) -> Path:
        return _folder(self.factory).parent

    def _relative(self, path: Path) -> str:
        """Without what a file's own name may tell."""
        name = path.relative_to(self._root).as_posix()
        return self.traces.blanked(name.encode())[0].decode(errors="replace")

    def _state_files(self) -> Iterator[Path]:
        return state_files(self._root)


def _folder(factory: Factory) -> Path:
    folder = factory.state_folder(FOLDER)
    if folder is None:
        raise UsageError("a factory in memory keeps nothing that could be erased")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _check_idle(factory: Factory) -> None:
    factory.close_abandoned_runs()
    going = [run.id for run in factory.ledger.read(Run, status="running")]
    if going:
        raise InfrastructureError(
            "a run is going on, and could write what is being erased",
            seen=going[0],
            hint="let it end first",
        )
    folder = _folder(factory).parent
    for guard in folder.rglob("guard"):
        if busy(guard):
            raise InfrastructureError(
                "a gateway is running, and has answers in memory",
                where=str(guard.parent),
                hint="stop it first",
            )
