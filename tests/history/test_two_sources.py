"""One view over the historian's database and etcd; the configuration of a moment; going back to a version."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from orchestrator.cli import writing
from orchestrator.cli.commands import app
from orchestrator.clients.database import parse
from orchestrator.core.jobs import Action
from orchestrator.core.refs import Ref
from orchestrator.errors import InvalidInput
from orchestrator.sandbox import servers
from typer.testing import CliRunner, Result

from .conftest import HistoryWorld, compact
from .test_historian import caught_up, historian, keep, live

pytestmark = pytest.mark.integration

NET, OTHER = Ref("network", "n"), Ref("network", "other")
Run_ = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def run(
    environment: Mapping[str, str], tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> Run_:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    own = {**environment, "ORCHESTRATOR_HISTORY_DATABASE": str(file)}

    def call(*arguments: str, input: str | None = None, **more: str) -> Result:
        return runner.invoke(app, list(arguments), input=input, env={**own, **more})

    return call


@pytest.fixture
def recording(world: HistoryWorld, etcd: servers.Etcd, file: Path) -> Callable[[], Any]:
    """A historian for as long as a block lasts."""

    @contextmanager
    def during() -> Iterator[None]:
        with historian(world, etcd, parse(str(file))):
            yield

    return during


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def told(result: Result) -> list[tuple[int, str, str]]:
    return [(c["revision"], c["record"], c["says"]) for c in document(result)["changes"]]


def history(run: Run_, **more: str) -> Result:
    return run("history", "network", "n", "-o", "json", **more)


# One view -------------------------------------------------------------------------------------------


def test_the_database_and_etcd_together_tell_what_etcd_alone_told(
    run: Run_, world: HistoryWorld, recording: Callable[[], Any]
) -> None:
    with recording():
        live(world, NET, 1)
        job = world.decide(NET, 2, Action.MODIFY)
    world.carry_out(job)
    live(world, NET, 3)
    alone = told(history(run, ORCHESTRATOR_HISTORY_DATABASE=""))

    assert told(history(run)) == alone
    assert len(alone) > 30


def test_what_etcd_has_compacted_comes_from_the_database(
    run: Run_, world: HistoryWorld, etcd: servers.Etcd, recording: Callable[[], Any]
) -> None:
    with recording():
        for version in (1, 2, 3):
            live(world, NET, version)
        world.clean(NET)
    before = told(history(run, ORCHESTRATOR_HISTORY_DATABASE=""))
    compact(etcd, world.config(OTHER, 1))

    assert told(history(run)) == before
    assert run("history", "network", "n", ORCHESTRATOR_HISTORY_DATABASE="").exit_code == 2


def test_changes_have_the_time_at_which_the_historian_saw_them(
    run: Run_, world: HistoryWorld, recording: Callable[[], Any], file: Path
) -> None:
    world.config(NET, 1)
    with recording():
        caught_up(world, parse(str(file)))
        world.config(NET, 2)
    world.config(NET, 3)

    late, seen, unseen = document(history(run))["changes"]

    assert (late["time_from"], late["at_the_latest"]) == ("historian", True)
    assert (seen["time_from"], seen["at_the_latest"]) == ("historian", False)
    assert (unseen["time"], unseen["time_from"]) == (None, None)
    assert "≤ " in run("history", "network", "n").stdout


def test_a_gap_is_told_in_its_place(
    run: Run_, world: HistoryWorld, etcd: servers.Etcd, recording: Callable[[], Any]
) -> None:
    with recording():
        world.config(NET, 1)
    world.config(NET, 2)
    at = world.config(NET, 3)
    compact(etcd, at)
    with recording():
        world.config(NET, 4)

    lines = run("history", "network", "n").stdout.splitlines()[1:]

    assert ["gap" in line for line in lines] == [False, True, False, False]
    assert f"…{at}" in lines[1]
    assert "compacted" in lines[1]


def test_a_database_that_is_not_there_is_told_and_etcd_answers(
    run: Run_, world: HistoryWorld
) -> None:
    world.config(NET, 1)

    result = run("history", "network", "n")

    assert "version 1 is wanted" in result.stdout
    assert "history.db is not there" in result.stderr
    assert "This is what etcd alone tells." in result.stderr


def test_a_server_that_does_not_answer_is_told_without_its_password(
    run: Run_, world: HistoryWorld
) -> None:
    world.config(NET, 1)
    url = "postgresql://me:canary@127.0.0.1:1/history"

    result = run("history", "network", "n", ORCHESTRATOR_HISTORY_DATABASE=url)

    assert "version 1 is wanted" in result.stdout
    assert "PostgreSQL at 127.0.0.1:1/history" in result.stderr
    assert "canary" not in result.output


def test_secrets_of_versions_that_only_the_database_has_are_masked(
    run: Run_, world: HistoryWorld, etcd: servers.Etcd, recording: Callable[[], Any]
) -> None:
    with recording():
        world.config(NET, 1, admin_password="canary-one")
        world.carry_out(world.decide(NET, 1, admin_password="canary-one"), "refused: canary-one")
        at = world.config(NET, 2, admin_password="canary-two")
    compact(etcd, at)

    shown = [
        run(*arguments).output
        for arguments in (
            ("history", "network", "n"),
            ("history", "network", "n", "--diff"),
            ("history", "network", "n", "-o", "json"),
            ("history", "--at", "0s", "-o", "yaml"),
            ("rollback", "network", "n", "--to", "1", "--yes", "--no-validate"),
        )
    ]

    assert "canary" not in "".join(shown)
    assert "a secret has changed" in shown[1]
    assert "a secret has changed" in shown[4]


def test_only_its_user_reads_the_file(
    world: HistoryWorld, recording: Callable[[], Any], file: Path
) -> None:
    with recording():
        world.config(NET, 1)
        beside = list(file.parent.glob("history.db*"))
        assert len(beside) == 3
        assert {path.stat().st_mode & 0o777 for path in beside} == {0o600}


# The configuration of a moment --------------------------------------------------------------------


def test_the_wanted_configuration_of_a_moment_is_shown(
    run: Run_, world: HistoryWorld, recording: Callable[[], Any], file: Path
) -> None:
    database = parse(str(file))
    with recording():
        world.config(NET, 1, name="front")
        world.config(OTHER, 1)
        caught_up(world, database)
        then = time.time()
        world.config(NET, 2, name="back")
        world.clean(OTHER)
        caught_up(world, database)

    before = document(run("history", "--at", stamp(then), "-o", "json"))
    now = document(run("history", "--at", "0s", "-o", "json"))
    one = document(run("history", "--at", stamp(then), "network", "other", "-o", "json"))

    assert [(c["id"], c["version"], c["body"].get("name")) for c in before] == [
        ("n", 1, "front"),
        ("other", 1, None),
    ]
    assert [(c["id"], c["version"]) for c in now] == [("n", 2)]
    assert [c["id"] for c in one] == ["other"]
    assert "network:n" in run("history", "--at", stamp(then)).stdout


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def test_retention_keeps_the_configuration_of_every_moment_that_is_kept(
    run: Run_, world: HistoryWorld, recording: Callable[[], Any], file: Path
) -> None:
    database = parse(str(file))
    with recording():
        world.config(OTHER, 1)
        for version in range(1, 30):
            world.config(NET, version)
        caught_up(world, database)
    keep(database, 36500, 10, time.time())

    now = document(run("history", "--at", "0s", "-o", "json"))

    assert [(c["id"], c["version"]) for c in now] == [("n", 29), ("other", 1)]
    assert "has dropped what was older" in run("history", "network", "n").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--at", "1w"), "the history begins at"),
        (("--at", "2999-01-01"), "yet to come"),
        (("--at", "1d", "--diff"), "neither --since nor --diff"),
    ],
    ids=["before the beginning", "future", "two things"],
)
def test_a_moment_that_cannot_be_shown_is_refused(
    run: Run_,
    world: HistoryWorld,
    recording: Callable[[], Any],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    with recording():
        world.config(NET, 1)

    result = run("history", *arguments)

    assert result.exit_code == 2
    assert says in result.stderr


def test_without_a_database_a_moment_cannot_be_shown(run: Run_, world: HistoryWorld) -> None:
    result = run("history", "--at", "1h", ORCHESTRATOR_HISTORY_DATABASE="")

    assert result.exit_code == 2
    assert "--at needs the historian's database" in result.stderr


# Going back ---------------------------------------------------------------------------------------


def wanted(world: HistoryWorld, ref: Ref = NET) -> tuple[int, bool, dict[str, Any]]:
    kv = world.store.get(world.keys.below(world.keys.config, ref))
    assert kv is not None
    value = json.loads(kv.value)
    return value["version"], value["marked_for_deletion"], json.loads(value["body"])


def test_an_earlier_version_is_written_as_a_new_one(
    run: Run_, world: HistoryWorld, etcd: servers.Etcd, recording: Callable[[], Any]
) -> None:
    with recording():
        world.config(NET, 1, name="front")
        world.config(NET, 2, name="back")
        at = world.config(NET, 3, name="else")
    compact(etcd, at)

    result = run("rollback", "network", "n", "--to", "1", "--yes")

    assert result.exit_code == 0, result.output
    assert '~ name: "else" → "front"' in result.stderr
    assert wanted(world) == (4, False, {"id": "n", "tenant_id": "t1", "name": "front"})


def test_a_version_that_only_etcd_has_can_be_gone_back_to(run: Run_, world: HistoryWorld) -> None:
    world.config(NET, 1, name="front")
    world.config(NET, 2, name="back")

    run("rollback", "network:n", "--to", "1", "-y", ORCHESTRATOR_HISTORY_DATABASE="")

    assert wanted(world) == (3, False, {"id": "n", "tenant_id": "t1", "name": "front"})


def test_what_is_marked_or_gone_is_wanted_again(run: Run_, world: HistoryWorld) -> None:
    none = {"ORCHESTRATOR_HISTORY_DATABASE": ""}
    world.config(NET, 1, name="front")
    world.config(NET, 2, marked=True, name="front")
    marked = run("rollback", "network", "n", "--to", "1", "--yes", **none)
    again = wanted(world)
    world.clean(NET)
    gone = run("rollback", "network", "n", "--to", "1", "--yes", **none)

    assert "is marked for deletion: it is wanted again" in marked.stderr
    assert again[:2] == (3, False)
    assert "it is made anew" in gone.stderr
    assert wanted(world)[:2] == (1, False)


def test_the_version_that_is_there_already_is_left_alone(run: Run_, world: HistoryWorld) -> None:
    world.config(NET, 1, name="front")

    result = run("rollback", "network", "n", "--to", "1", "--yes", ORCHESTRATOR_HISTORY_DATABASE="")

    assert "unchanged" in result.stdout
    assert wanted(world)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--to", "7", "--yes"),
            "has no version 7 of network:n that can be written again; it has 1",
        ),
        (("--to", "2", "--yes"), "has no version 2"),
        (("--to", "1"), "--yes writes without a question"),
    ],
    ids=["unknown", "asks for the deletion", "nobody to ask"],
)
def test_what_cannot_be_gone_back_to_is_refused_and_nothing_is_written(
    run: Run_, world: HistoryWorld, arguments: tuple[str, ...], says: str
) -> None:
    world.config(NET, 1, name="front")
    before = world.config(NET, 2, marked=True, name="front")

    result = run("rollback", "network", "n", *arguments, ORCHESTRATOR_HISTORY_DATABASE="")

    assert result.exit_code == 2
    assert says in result.stderr
    assert world.store.list(world.keys.config)[0] == before


def test_a_config_that_somebody_else_wrote_meanwhile_is_left_alone(world: HistoryWorld) -> None:
    shown = world.config(NET, 1, name="front")
    world.config(NET, 2, name="somebody else's")

    with pytest.raises(InvalidInput, match="written by somebody else meanwhile"):
        writing.put(world.store, world.keys, NET, {"id": "n", "name": "back"}, only=shown)

    assert wanted(world)[0] == 2


def test_a_version_that_does_not_fit_its_type_any_more_is_refused(
    run: Run_, world: HistoryWorld
) -> None:
    world.config(NET, 1, name=7)
    before = world.config(NET, 2, name="front")

    result = run("rollback", "network", "n", "--to", "1", "--yes", ORCHESTRATOR_HISTORY_DATABASE="")

    assert result.exit_code == 2
    assert "version 1" in result.stderr
    assert world.store.list(world.keys.config)[0] == before


# Without the libraries ----------------------------------------------------------------------------


def test_without_the_extra_a_sentence_says_what_to_install(
    environment: Mapping[str, str], file: Path, world: HistoryWorld
) -> None:
    """In a process in which SQLAlchemy cannot be imported."""
    world.config(NET, 1)
    code = "import sys; sys.modules['sqlalchemy'] = None; from orchestrator.cli import main; main()"

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={"PATH": "", "PYTHONPATH": ":".join(sys.path), **environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    without = call("historian", ORCHESTRATOR_HISTORY_DATABASE=str(file))
    empty = call("historian")
    alone = call("history", "network", "n")

    assert "pip install 'orchestrator[history]'" in without.stderr
    assert "ORCHESTRATOR_HISTORY_DATABASE is empty" in empty.stderr
    assert (without.returncode, empty.returncode, alone.returncode) == (2, 2, 0)
    assert "version 1 is wanted" in alone.stdout


def test_the_store_s_answer_that_fails_is_no_fault_of_the_database(
    run: Run_, world: HistoryWorld, recording: Callable[[], Any], etcd: servers.Etcd
) -> None:
    with recording():
        world.config(NET, 1)
    etcd.kill()

    result = run("history", "network", "n")

    assert result.exit_code == 4
    assert "etcd" in result.stderr
