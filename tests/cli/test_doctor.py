"""``orchestrator doctor`` on real etcd and Redis, with a scripted Keystone and Heat."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from orchestrator.cli import doctor
from orchestrator.cli.commands import app
from orchestrator.cli.exits import Exit
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Login, LoginState
from orchestrator.core.schemas import Schemas
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes
from typer.testing import CliRunner, Result

from tests.scripted.heat import ScriptedHeat
from tests.scripted.keystone import ScriptedKeystone
from tests.scripted.stacks import Script

pytestmark = pytest.mark.integration

Doctor = Callable[..., Result]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Redis]:
    with Processes(tmp_path_factory.mktemp("doctor")) as processes:
        try:
            yield servers.redis(processes)
        except servers.MissingServer as error:
            if "CI" in os.environ:
                raise
            pytest.skip(str(error))


@pytest.fixture
def heat() -> Iterator[ScriptedHeat]:
    """A Heat that takes a moment for everything."""
    with ScriptedHeat(script=lambda *_: Script(duration=0.1)) as scripted:
        yield scripted


@pytest.fixture
def keystone(heat: ScriptedHeat) -> Iterator[ScriptedKeystone]:
    with ScriptedKeystone(f"{heat.url}/v1/%(tenant_id)s") as scripted:
        heat.keystone = scripted
        yield scripted


@pytest.fixture
def run_doctor(
    environment: dict[str, str],
    redis: servers.Redis,
    keystone: ScriptedKeystone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Doctor:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "_PAUSE", 0.02)
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    surroundings = {
        **environment,
        **keystone.environment(),
        "ORCHESTRATOR_BROKER_URL": redis.url,
    }

    def call(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(app, ["doctor", *arguments], env={**surroundings, **more})

    return call


def checks(result: Result) -> dict[str, bool]:
    return {check["check"]: check["ok"] for check in json.loads(result.stdout)}


def found(result: Result, name: str) -> str:
    return next(str(c["found"]) for c in json.loads(result.stdout) if c["check"] == name)


EVERYTHING = [
    "etcd, reading",
    "etcd, writing and watching",
    "broker",
    "schema list",
    "login",
    "token for project t1",
    "stack, create",
    "stack, find by name",
    "stack, update",
    "stack, delete",
]


def test_where_all_is_well_every_step_says_so_and_nothing_is_left(
    run_doctor: Doctor, heat: ScriptedHeat
) -> None:
    result = run_doctor("--project", "t1", "-o", "json")

    assert result.exit_code == Exit.OK, result.output
    assert checks(result) == dict.fromkeys(EVERYTHING, True)
    assert [(r.method, r.tenant) for r in heat.requests] == [
        ("create", "t1"),
        ("update", "t1"),
        ("delete", "t1"),
    ]
    assert heat.live() == {}


def test_for_people_there_is_a_line_for_each_step(run_doctor: Doctor) -> None:
    result = run_doctor()

    assert result.exit_code == Exit.OK
    lines = result.stdout.splitlines()
    assert [line[:2] for line in lines] == ["✔ "] * 5
    assert "redis" in lines[2] and "user orchestrator" in lines[4]


def test_without_a_project_nothing_is_built(run_doctor: Doctor, heat: ScriptedHeat) -> None:
    run_doctor()

    assert heat.requests == []


def test_a_wrong_password_is_told_and_the_rest_is_looked_at(run_doctor: Doctor) -> None:
    result = run_doctor("-o", "json", OS_PASSWORD="wrong")

    assert result.exit_code == Exit.PROBLEM
    assert checks(result) == {**dict.fromkeys(EVERYTHING[:5], True), "login": False}
    assert "OS_* variables" in found(result, "login")


def test_the_doctor_is_let_in_at_once_and_tells_the_workers(
    run_doctor: Doctor, environment: dict[str, str], keystone: ScriptedKeystone
) -> None:
    """The workers had been refused, and would try again in an hour. The account was unlocked since."""
    names = ("CONFIG", "STATE", "MONITORING", "JOBS", "WORKER")
    prefixes = Prefixes(*(environment[f"ORCHESTRATOR_{name}_PREFIX"] for name in names))
    store = EtcdStore(EtcdAccess((environment["ORCHESTRATOR_ETCD_ENDPOINTS"],)))
    keys = Keys(prefixes, Schemas(()))

    def last() -> Login:
        (record,) = store.list(keys.logins)[1]
        return Login.from_json(record.value)

    keystone.lockout, keystone.failures = 5, 5
    assert run_doctor().exit_code == Exit.PROBLEM
    assert last().state is LoginState.REFUSED
    keystone.failures = 0

    assert run_doctor().exit_code == Exit.OK
    assert last().state is LoginState.ACCEPTED
    store.close()


def test_a_project_without_a_role_is_told_and_nothing_is_built(
    run_doctor: Doctor, heat: ScriptedHeat
) -> None:
    result = run_doctor("--project", "t3", "-o", "json")

    assert result.exit_code == Exit.PROBLEM
    assert checks(result)["token for project t3"] is False
    assert "give it a role there" in found(result, "token for project t3")
    assert heat.requests == []


@pytest.mark.parametrize("method", ["create", "update"])
def test_a_stack_that_fails_is_deleted_all_the_same(
    method: str, run_doctor: Doctor, heat: ScriptedHeat
) -> None:
    heat.script = lambda asked, tenant, name: Script(
        outcome="FAILED" if asked == method else "COMPLETE", reason="no engine"
    )

    result = run_doctor("--project", "t1", "-o", "json")

    assert result.exit_code == Exit.PROBLEM
    assert "no engine" in found(result, f"stack, {method}")
    assert checks(result)["stack, delete"] is True
    assert heat.live() == {}


def test_a_create_that_heat_refuses_leaves_nothing_to_delete(
    run_doctor: Doctor, heat: ScriptedHeat
) -> None:
    heat.refuse = lambda method, tenant, path: (
        (400, "RequestLimitExceeded", "You have reached the maximum stacks per tenant")
        if method == "POST"
        else None
    )

    result = run_doctor("--project", "t1", "-o", "json")

    assert result.exit_code == Exit.PROBLEM
    assert "maximum stacks" in found(result, "stack, create")
    assert "stack, delete" not in checks(result)


def test_a_broker_that_is_away_does_not_hide_the_rest(run_doctor: Doctor) -> None:
    result = run_doctor("-o", "json", ORCHESTRATOR_BROKER_URL="redis://127.0.0.1:1/0")

    assert result.exit_code == Exit.PROBLEM
    assert [name for name, good in checks(result).items() if not good] == ["broker"]


def test_an_etcd_that_is_away_does_not_hide_the_rest(
    run_doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_WATCH_TIME", 0.5)

    result = run_doctor("-o", "json", ORCHESTRATOR_ETCD_ENDPOINTS="127.0.0.1:1")

    assert result.exit_code == Exit.PROBLEM
    assert [name for name, good in checks(result).items() if not good] == EVERYTHING[:2]
