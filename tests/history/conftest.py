"""A real etcd, with prefixes of its own for each test, and what writes into it like a bridge and its workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from orchestrator.clients import catalogue
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.clients.store import Event, Store
from orchestrator.core.jobs import Action, Job, Param
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Failed, Handled, Held, Run, StackRecord, StateRecord
from orchestrator.core.records.contract import JobState
from orchestrator.core.records.runs import Step
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.transactions import Transaction
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes, free_port

PREFIXES = ("CONFIG", "STATE", "MONITORING", "JOBS", "WORKER")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "servers") as group:
        yield group


@pytest.fixture
def etcd(processes: Processes) -> servers.Etcd:
    """One of its own for each test: it is compacted, and its revisions are counted."""
    try:
        return servers.etcd(processes)
    except servers.MissingServer as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture
def environment(etcd: servers.Etcd) -> dict[str, str]:
    own = f"/{uuid.uuid4().hex}"
    prefixes = {f"ORCHESTRATOR_{name}_PREFIX": f"{own}/{name.lower()}" for name in PREFIXES}
    return {"ORCHESTRATOR_ETCD_ENDPOINTS": etcd.endpoint, **prefixes}


@dataclass
class HistoryWorld:
    """An etcd, and what bridge and workers write to it, put down by hand."""

    store: Store
    keys: Keys
    jobs: dict[Ref, int] = field(default_factory=dict)

    def config(self, ref: Ref, version: int, *, marked: bool = False, **body: Any) -> int:
        body = {"id": ref.id, "tenant_id": "t1", **body}
        value = {"body": json.dumps(body), "version": version, "marked_for_deletion": marked}
        return self.store.put(self.keys.below(self.keys.config, ref), json.dumps(value))

    def decide(self, ref: Ref, version: int, action: Action = Action.CREATE, **body: Any) -> Job:
        """The bridge makes a job of a version."""
        self.jobs[ref] = number = self.jobs.get(ref, 0) + 1
        job = Job(
            id=JobId(f"{action.value}:heat_worker:{ref}:{version}:{number:05}"),
            ref=ref,
            action=action,
            version=version,
            params=(Param("name", "x"),),
            dependency=(),
            body={"id": ref.id, "tenant_id": "t1", **body},
        )
        handled = Handled(version, 7, job.id, ref.type, "t1", body=job.body)
        held = self.keys.below(self.keys.held, ref)
        self.store.commit(
            Transaction(
                puts={
                    self.keys.job(job.id): job.to_json(),
                    self.keys.below(self.keys.handled, ref): handled.to_json(),
                },
                deletes=(held,),
            )
        )
        return job

    def run(self, job: Job, run: Run, **more: str) -> int:
        key = self.keys.run(job.tenant, job.id)
        return self.store.commit(Transaction(puts={key: run.to_json(), **more}))

    def carry_out(self, job: Job, error: str = "", retries: int = 0) -> int:
        """A worker's writes, from the claim to the end; the revision of the state."""
        keys, ref = self.keys, job.ref
        job_state = keys.below(keys.job_states, ref)
        since = 1795449345.0
        self.run(job, Run(Step.CLAIMED, since=since), **{job_state: JobState().to_json()})
        for attempt in range(1, retries + 1):
            reason = "Heat answers 503: away"
            self.run(job, Run(Step.RETRY, attempt=attempt, delay=2.0, reason=reason, since=since))
            self.run(job, Run(Step.CLAIMED, attempt=attempt, since=since))
        self.run(job, Run(Step.IN_HEAT, stack="b1a7", since=since, asked_at=since + 1))
        self.run(job, Run(Step.ENDED, stack="b1a7", since=since, asked_at=since + 1))
        verb = {Action.CREATE: "CREATE", Action.MODIFY: "UPDATE", Action.DELETE: "DELETE"}
        status = f"{verb[job.action]}_{'FAILED' if error else 'COMPLETE'}"
        stack = StackRecord.of(ref, "t1", status, [], error)
        filled = JobState(status).to_json()
        self.store.commit(
            Transaction(puts={keys.below(keys.stacks, ref): stack.to_json(), job_state: filled})
        )
        return self.end(job, status, error)

    def end(self, job: Job, status: str, error: str) -> int:
        keys, ref = self.keys, job.ref
        state = StateRecord.of(job.action, status, [], job.version, error)
        done = Run(Step.DONE, complete=not error, reason=error)
        failed = keys.below(keys.failed, ref)
        puts = {
            keys.below(keys.state, ref): state.to_json(),
            keys.run(job.tenant, job.id): done.to_json(),
        }
        gone = [keys.job(job.id), keys.below(keys.job_states, ref)]
        if error:
            puts[failed] = Failed(job.version, job.action, error, ref).to_json()
        else:
            gone.append(failed)
        at = self.store.commit(Transaction(puts=puts, deletes=tuple(gone)))
        self.store.delete(keys.run(job.tenant, job.id))
        return at

    def hold(self, ref: Ref, waits_for: Ref, version: int = 1) -> int:
        held = Held(version, waits_for, f"refers to {waits_for}, which is not in the configuration")
        return self.store.put(self.keys.below(self.keys.held, ref), held.to_json())

    def clean(self, ref: Ref) -> int:
        """The bridge removes all that is left of a resource whose config is gone."""
        keys = self.keys
        self.store.delete(keys.below(keys.config, ref))
        folders = (keys.state, keys.stacks, keys.handled, keys.failed, keys.held)
        return self.store.commit(
            Transaction(deletes=tuple(keys.below(folder, ref) for folder in folders))
        )

    def events(self, revision: int = 1) -> list[Event]:
        """Every change below our prefixes, by etcd's own watch."""
        prefix = self.keys.prefixes.config.rpartition("/")[0] + "/"
        now = self.store.put(f"{prefix}end", "x")
        found: list[Event] = []
        watch = self.store.watch([prefix], revision)
        for batch in watch:
            found += batch
            if found and found[-1].revision == now:
                break
        watch.close()
        return [event for event in found if not event.key.endswith("/end")]


@pytest.fixture
def world(environment: dict[str, str]) -> Iterator[HistoryWorld]:
    prefixes = Prefixes(*(environment[f"ORCHESTRATOR_{name}_PREFIX"] for name in PREFIXES))
    store = EtcdStore(EtcdAccess((environment["ORCHESTRATOR_ETCD_ENDPOINTS"],)))
    yield HistoryWorld(store, Keys(prefixes, catalogue.load().schemas))
    store.close()


def compact(server: servers.Etcd, revision: int) -> None:
    """By etcd's JSON gateway, so that nothing of ours is in between."""
    body = json.dumps({"revision": revision, "physical": True}).encode()
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        urllib.request.Request(f"{server.url}/v3/kv/compaction", body), timeout=5
    ).close()


# PostgreSQL ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of its own; skipped where PostgreSQL is not installed."""
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed; the same tests run on SQLite")
    folder = tmp_path_factory.mktemp("postgresql")
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # The server refuses to run as root.
        shutil.chown(folder, "nobody")
        for parent in [folder, *folder.parents]:
            if parent.owner() == "root" and str(parent).startswith(tempfile.gettempdir() + "/"):
                parent.chmod(0o755)
        as_user = {"user": "nobody"}
    data, port = folder / "data", free_port()
    make = [f"{programs}/initdb", "-D", f"{data}", "-U", "historian", "--auth=trust", "-N"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **as_user)
    serve = [f"{programs}/postgres", "-D", f"{data}", "-p", f"{port}", "-k", f"{folder}", "-F"]
    with subprocess.Popen[bytes](
        serve, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user
    ) as server:
        address = f"postgresql://historian@127.0.0.1:{port}"
        try:
            wait_for(f"{address}/postgres", server)
            yield address
        finally:
            server.send_signal(signal.SIGINT)


def postgresql_programs() -> Path | None:
    """The folder of the server's programs: beside `postgres` on PATH, or where Debian puts them."""
    on_path = shutil.which("postgres")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").is_file()), None)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end, pause = time.monotonic() + 120, threading.Event()
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None and time.monotonic() < end, "PostgreSQL does not answer"
            pause.wait(0.1)


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """The URL of an empty database."""
    name = f"history_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgresql_server}/{name}"
