"""``orchestrator history`` as a person runs it, on a real etcd."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from orchestrator.cli.commands import app
from orchestrator.core.jobs import Action
from orchestrator.core.records import RetryAsked
from orchestrator.core.refs import Ref
from orchestrator.sandbox import servers
from typer.testing import CliRunner, Result

from .conftest import HistoryWorld, compact

pytestmark = pytest.mark.integration

NET = Ref("network", "n")
Run_ = Callable[..., Result]


@pytest.fixture
def run(environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run_:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def call(*arguments: str, input: str | None = None, **more: str) -> Result:
        return runner.invoke(app, list(arguments), input=input, env={**environment, **more})

    return call


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_versions_attempts_reports_failures_and_requests_are_told_in_order(
    run: Run_, world: HistoryWorld
) -> None:
    world.config(NET, 1, name="a")
    world.carry_out(world.decide(NET, 1, name="a"), "quota exceeded", retries=1)
    world.store.put(world.keys.below(world.keys.retries, NET), RetryAsked().to_json())
    world.carry_out(world.decide(NET, 1, name="a"))

    result = run("history", "network", "n")

    lines = [line.split("  ", 3)[-1].strip() for line in result.stdout.splitlines()]
    order = [
        "version 1 is wanted, a new resource",
        "job to create, version 1",
        "a worker takes the job",
        "attempt 1 failed, next one in 2 s: Heat answers 503: away",
        "a worker takes the job again, after 1 failed attempts",
        "Heat has taken the request, stack b1a7",
        "Heat is done",
        "stack CREATE_FAILED: quota exceeded",
        "reported CREATE_FAILED for version 1: quota exceeded",
        "version 1 failed, cause network:n: the same error",
        "a person asks for another try",
        "reported CREATE_COMPLETED for version 1",
    ]
    places = [next(i for i, line in enumerate(lines) if line.endswith(says)) for says in order]
    assert places == sorted(places)


def test_a_time_is_shown_where_a_record_names_one_and_nowhere_else(
    run: Run_, world: HistoryWorld
) -> None:
    world.config(NET, 1)
    world.carry_out(world.decide(NET, 1))

    changes = document(run("history", "network", "n", "-o", "json"))["changes"]

    timed = {change["record"]: change["time"] for change in changes if change["time"]}
    assert set(timed) == {"run"}
    assert {change["time_from"] for change in changes} == {None, "record"}
    assert [c["time"] for c in changes if c["says"].startswith("Heat has taken")] == [
        "2026-11-23T15:55:46.000Z"
    ]


def test_the_differences_of_two_versions_are_shown(run: Run_, world: HistoryWorld) -> None:
    world.config(NET, 1, name="front", tags=["a"])
    world.config(NET, 2, name="back", tags=["a", "b"])

    result = run("history", "network", "n", "--diff")

    assert '    ~ body.name: "front" → "back"' in result.stdout
    assert '    + body.tags[1]: "b"' in result.stdout
    assert "    ~ version: 1 → 2" in result.stdout


def test_no_secret_of_any_version_is_shown(run: Run_, world: HistoryWorld) -> None:
    world.config(NET, 1, admin_password="canary-one")
    world.carry_out(world.decide(NET, 1, admin_password="canary-one"), "refused: canary-one")
    world.config(NET, 2, admin_password="canary-two")
    world.carry_out(world.decide(NET, 2, admin_password="canary-two"), "was canary-one before")

    shown = [
        run("history", "network", "n", *more).output
        for more in ((), ("--diff",), ("-o", "json"), ("-o", "yaml"))
    ]

    assert "canary" not in "".join(shown)
    assert "~ body.admin_password: a secret has changed" in shown[1]


def test_what_is_compacted_is_told(run: Run_, world: HistoryWorld, etcd: servers.Etcd) -> None:
    world.config(NET, 1, name="a")
    compact(etcd, world.config(NET, 2, name="b"))

    result = run("history", "network", "n")

    assert "version 2 is wanted" in result.stdout
    assert "version 1" not in result.stdout
    assert "etcd has compacted what was before" in result.stderr


def test_a_resource_that_was_deleted_is_told_to_its_end(run: Run_, world: HistoryWorld) -> None:
    world.config(NET, 1)
    world.carry_out(world.decide(NET, 1))
    world.config(NET, 2, marked=True)
    world.carry_out(world.decide(NET, 2, Action.DELETE))
    world.clean(NET)

    lines = run("history", "network:n").stdout.splitlines()

    assert any(line.endswith("version 2 asks for the deletion") for line in lines)
    assert any(line.endswith("config removed") for line in lines)


def test_what_is_older_is_left_out(run: Run_, world: HistoryWorld) -> None:
    world.config(NET, 1)
    world.carry_out(world.decide(NET, 1))
    at = world.config(NET, 2)

    changes = document(run("history", "network", "n", "--since", "2026-11-25", "-o", "json"))

    assert [c["revision"] for c in changes["changes"]][-1] == at
    assert "a worker takes the job" not in str(changes)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("network",), "name TYPE and ID"),
        (("network", "none"), "nothing is known of network:none"),
        (("nettwork", "n"), "did you mean"),
        (("network", "n", "--since", "yesterday"), "expected a span such as 1d"),
    ],
    ids=["no id", "unknown resource", "unknown type", "no moment"],
)
def test_what_cannot_be_answered_is_refused(
    run: Run_, world: HistoryWorld, arguments: tuple[str, ...], says: str
) -> None:
    result = run("history", *arguments)

    assert result.exit_code == 2
    assert says in result.stderr
