"""The commands as a person runs them: a real etcd, and for each test its own key prefixes and folder.

Input are files, keys in etcd and the command line; what is asserted is what is printed, what is in etcd and
the exit code. The bridge is played by :class:`Records`, which writes what a bridge and workers would.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from orchestrator.cli.commands import app
from orchestrator.clients import catalogue
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.clients.store import Store
from orchestrator.core import records
from orchestrator.core.documents import digest_of
from orchestrator.core.jobs import Action, Job, Param
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.records import Built, Failed, Handled, Held, Run, TemplateRevision
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.templates import parse_template
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes
from typer.testing import CliRunner, Result

from tests.doubles import MemoryStore

PREFIXES = ("CONFIG", "STATE", "MONITORING", "JOBS", "WORKER")


@dataclass
class Records:
    """What bridge and workers write, put down by hand."""

    store: Store
    keys: Keys

    def put(self, folder: str, ref: Ref, text: str) -> int:
        return self.store.put(self.keys.below(folder, ref), text)

    def config(self, ref: Ref, version: int = 1, *, marked: bool = False, **body: Any) -> int:
        body = {"id": ref.id, "tenant_id": "t1", **body}
        value = {"body": json.dumps(body), "version": version, "marked_for_deletion": marked}
        return self.put(self.keys.config, ref, json.dumps(value))

    def wanted(self, ref: Ref) -> Any:
        """What lies below the config, the body taken out of its text; None when nothing does."""
        kv = self.store.get(self.keys.below(self.keys.config, ref))
        document = json.loads(kv.value) if kv else None
        return {**document, "body": json.loads(document["body"])} if document else None

    def lead(self) -> None:
        self.store.put(self.keys.leader, json.dumps({"host": "here", "pid": 7}))

    def report(
        self,
        ref: Ref,
        version: int = 1,
        action: Action = Action.CREATE,
        error: str = "",
        root: Ref | None = None,
    ) -> int:
        """A job has ended: the stack, the state, and the failure if it was one."""
        verb = {Action.CREATE: "CREATE", Action.MODIFY: "UPDATE", Action.DELETE: "DELETE"}[action]
        status = f"{verb}_{'FAILED' if error else 'COMPLETE'}"
        if error:
            self.put(self.keys.failed, ref, Failed(version, action, error, root or ref).to_json())
        else:
            self.store.delete(self.keys.below(self.keys.failed, ref))
        self.put(
            self.keys.stacks, ref, records.StackRecord.of(ref, "t1", status, [], error).to_json()
        )
        return self.put(
            self.keys.state,
            ref,
            records.StateRecord.of(action, status, [], version, error).to_json(),
        )

    def output(self, ref: Ref, value: str) -> None:
        """The stack has been built again, and has this output ``id``."""
        outputs = [{"output_key": "id", "output_value": value}]
        stack = records.StackRecord.of(ref, "t1", "UPDATE_COMPLETE", outputs)
        self.put(self.keys.stacks, ref, stack.to_json())

    def built_from(self, ref: Ref, other: Ref, value: str, revision: str = "") -> None:
        """The stack was built from the output ``id`` of another one."""
        reads = {OutputOf(other, "id"): digest_of(value)}
        built = Built(JobId("j"), ref.type, revision, "", reads)
        self.put(self.keys.built, ref, built.to_json())

    def revision(self, template: str, number: int) -> str:
        """A revision of a template comes into force."""
        body = {"template_file": f"# {number}"}
        record = TemplateRevision.of(parse_template(template, body), "2026-11-28T08:00:00Z")
        self.store.put(self.keys.revision(template, record.revision), record.to_json())
        return record.revision

    def hold(self, ref: Ref, waits_for: Ref, version: int = 1) -> None:
        reason = f"refers to {waits_for}, which is not in the configuration (yet)"
        self.put(self.keys.held, ref, Held(version, waits_for, reason).to_json())

    def handle(self, ref: Ref, version: int, incarnation: int, **fields: Any) -> None:
        self.put(
            self.keys.handled,
            ref,
            Handled(version, incarnation, JobId("j"), ref.type, "t1", **fields).to_json(),
        )

    def job(
        self,
        ref: Ref,
        *after: JobId,
        suffix: str = "00000",
        action: Action = Action.CREATE,
        run: Run | None = None,
    ) -> JobId:
        job = Job(
            id=JobId(f"{action.value}:heat_worker:{ref}:1:{suffix}"),
            ref=ref,
            action=action,
            version=1,
            params=(Param("name", "x"),),
            dependency=after,
            body={"id": ref.id, "tenant_id": "t1"},
        )
        self.store.put(self.keys.job(job.id), job.to_json())
        if run is not None:
            self.store.put(self.keys.run(job.tenant, job.id), run.to_json())
        return job.id

    def end(self, job: JobId) -> None:
        self.store.delete(self.keys.job(job))


@pytest.fixture
def keys() -> Keys:
    """The catalogue's types and the contract's prefixes."""
    return Keys(Prefixes(), catalogue.load().schemas)


@pytest.fixture
def memory(keys: Keys) -> Records:
    """Records on the double."""
    return Records(MemoryStore(), keys)


# With a real etcd ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Etcd]:
    """One real etcd for all tests of this folder; skipped at home, and an error in CI, where there is none."""
    with Processes(tmp_path_factory.mktemp("cli")) as processes:
        try:
            yield servers.etcd(processes)
        except servers.MissingServer as error:
            if "CI" in os.environ:
                raise
            pytest.skip(str(error))


@pytest.fixture
def environment(etcd: servers.Etcd) -> dict[str, str]:
    """The settings of this test alone."""
    own = f"/{uuid.uuid4().hex}"
    prefixes = {f"ORCHESTRATOR_{name}_PREFIX": f"{own}/{name.lower()}" for name in PREFIXES}
    return {"ORCHESTRATOR_ETCD_ENDPOINTS": etcd.endpoint, **prefixes}


@pytest.fixture
def written(environment: Mapping[str, str]) -> Iterator[Records]:
    """What is in the etcd of this test."""
    prefixes = Prefixes(*(environment[f"ORCHESTRATOR_{name}_PREFIX"] for name in PREFIXES))
    store = EtcdStore(EtcdAccess((environment["ORCHESTRATOR_ETCD_ENDPOINTS"],)))
    yield Records(store, Keys(prefixes, catalogue.load().schemas))
    store.close()


Run_ = Callable[..., Result]


@pytest.fixture
def run(environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run_:
    """``run("apply", "-f", "-", input=…)`` runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def call(
        *arguments: str, input: str | None = None, prog_name: str | None = None, **more: str
    ) -> Result:
        names: dict[str, Any] = {} if prog_name is None else {"prog_name": prog_name}
        return runner.invoke(
            app, list(arguments), input=input, env={**environment, **more}, **names
        )

    return call
