"""``orchestrator rollout``: what each command writes, refuses and shows. The leader is played."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients import catalogue
from orchestrator.core.jobs import Action
from orchestrator.core.records import AuditRecord, Built, Rollout, RolloutPhase, TemplateRevision
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.templates import Template, parse_template_value
from orchestrator.views.outdated import Comparison
from orchestrator.views.reading import read_all

from .conftest import Records, Run_

NAME = "network"
OLD = catalogue.load().templates[NAME]


class PlayedRollout:
    """The records of a template, its networks and its roll-out."""

    def __init__(self, records: Records, run: Run_, folder: Path) -> None:
        self.records, self.run, self.store, self.keys = records, run, records.store, records.keys
        self.file = folder / "network.yaml"
        body = {**OLD.source, "template_file": f"{OLD.source['template_file']}# new\n"}
        self.file.write_text(json.dumps({"type": "heat_template", "id": NAME, "body": body}))
        self.in_force(OLD)

    def in_force(self, template: Template) -> None:
        """The leader has seen a template come into force."""
        record = TemplateRevision.of(template, "2026-11-28T08:00:00Z")
        self.store.put(self.keys.revision(NAME, template.revision), record.to_json())

    def network(self, name: str, revision: str = "", **handled: Any) -> Ref:
        ref = Ref("network", name)
        incarnation = self.records.config(ref)
        body = self.records.wanted(ref)["body"]
        handled = {"revision": incarnation, "built": True, "body": body, **handled}
        self.records.handle(ref, 1, incarnation, **handled)
        self.records.report(ref)
        built = Built(JobId("j"), NAME, revision or OLD.revision)
        self.records.put(self.keys.built, ref, built.to_json())
        return ref

    def start(self, *arguments: str) -> Any:
        return self.run("rollout", "start", NAME, "-f", str(self.file), *arguments)

    @property
    def rollout(self) -> Rollout:
        found = self.store.get(self.keys.rollout(NAME))
        assert found is not None
        return Rollout.from_json(found.value)

    def moves(self, rollout: Rollout) -> None:
        """The leader moves the roll-out on."""
        self.store.put(self.keys.rollout(NAME), rollout.to_json())

    def pushed(self) -> Template | None:
        kv = self.store.get(self.keys.template(NAME))
        if kv is None:
            return None
        template = parse_template_value(NAME, kv.value)
        assert isinstance(template, Template)
        return template


@pytest.fixture
def played(written: Records, run: Run_, tmp_path: Path) -> PlayedRollout:
    return PlayedRollout(written, run, tmp_path)


def test_with_canaries_only_the_record_and_the_candidate_are_written(played: PlayedRollout) -> None:
    played.network("a")
    result = played.start("--canary", "3", "--waves", "10%,100%", "--min-healthy", "2m")

    assert result.exit_code == 0, result.output
    rollout = played.rollout
    assert (rollout.phase, rollout.promoted, rollout.canary) == (RolloutPhase.CANARY, False, 3)
    assert (rollout.waves, rollout.min_healthy, rollout.before) == ((10, 100), 120.0, OLD.revision)
    assert "@" in rollout.by
    candidate = played.store.get(played.keys.candidate(NAME, rollout.id))
    assert candidate is not None
    assert TemplateRevision.from_json(candidate.value).revision == rollout.revision
    assert played.pushed() is None


def test_without_canaries_the_template_is_pushed_with_the_record(played: PlayedRollout) -> None:
    assert played.start().exit_code == 0
    pushed = played.pushed()

    assert pushed is not None
    assert pushed.revision == played.rollout.revision
    assert played.rollout.phase is RolloutPhase.WAVES


def test_a_dry_run_shows_the_waves_and_writes_nothing(played: PlayedRollout) -> None:
    for name in "abcd":
        played.network(name)
    result = played.start("--waves", "50%,100%", "--dry-run", "-o", "json")

    assert result.exit_code == 0, result.output
    waves = json.loads(result.stdout)["waves"]
    assert [(wave["wave"], wave["to_do"]) for wave in waves] == [("1", 2), ("2", 2)]
    assert not played.store.list(played.keys.rollouts)[1]
    assert played.pushed() is None


def test_a_dry_run_tells_what_would_be_rebuilt_and_how_it_differs(played: PlayedRollout) -> None:
    for name in "abcd":
        played.network(name)
    before = played.store.list("/nobody-writes-here")[0]
    options = ("--canary", "1", "--waves", "50%,100%", "--dry-run")
    shown = played.start(*options)
    told = json.loads(played.start(*options, "-o", "json").stdout)["plan"]

    assert shown.exit_code == 0, shown.output
    assert "+# new" in shown.stdout and "4 to rebuild" in shown.stdout
    assert sorted(change["id"] for change in told["changes"]) == list("abcd")
    assert [change["wave"] for change in told["changes"]] == [1, 2, 3, 3]
    assert all(change["hot"].endswith("+# new") for change in told["changes"])
    assert played.store.list("/nobody-writes-here")[0] == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("--waves", "50%"), "end with 100%", id="waves"),
        pytest.param(("--waves", "50%,20%,100%"), "rising shares", id="falling"),
        pytest.param(("--waves", "x"), "rising shares", id="no share"),
        pytest.param(("--min-healthy", "soon"), "expected a time", id="time"),
        pytest.param(("--auto-revert",), "how many there are with --canary", id="revert"),
        pytest.param(("--canary", "1000"), "at most 100", id="canaries"),
        pytest.param(("-f", "nowhere.yaml"), "nowhere.yaml", id="file"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    played: PlayedRollout, arguments: tuple[str, ...], sentence: str
) -> None:
    result = played.start(*arguments)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not played.store.list(played.keys.rollouts)[1]


def test_there_is_one_rollout_of_a_template_at_a_time(played: PlayedRollout) -> None:
    assert played.start("--canary", "1").exit_code == 0
    result = played.start("--canary", "1")

    assert result.exit_code == 2
    assert "is under way (canary)" in result.stderr


def test_a_promotion_pushes_the_template_once_the_canaries_are_done(played: PlayedRollout) -> None:
    played.start("--canary", "1")
    early = played.run("rollout", "promote", NAME)
    assert early.exit_code == 2
    assert "once its canaries are done" in early.stderr

    played.moves(played.rollout.into(RolloutPhase.WAITING))
    assert played.run("rollout", "promote", NAME).exit_code == 0
    pushed = played.pushed()
    assert pushed is not None
    assert pushed.revision == played.rollout.revision
    assert (played.rollout.phase, played.rollout.promoted) == (RolloutPhase.WAVES, True)


def test_a_revert_after_promotion_pushes_the_revision_before(played: PlayedRollout) -> None:
    played.start()
    pushed = played.pushed()
    assert pushed is not None
    played.in_force(pushed)
    played.moves(played.rollout.into(RolloutPhase.DONE))
    result = played.run("rollout", "revert", NAME)

    assert result.exit_code == 0, result.output
    back = played.pushed()
    assert back is not None
    assert back.revision == OLD.revision
    assert (played.rollout.phase, played.rollout.promoted) == (RolloutPhase.REVERTING, False)


def test_pause_resume_and_abort_change_the_record_and_nothing_else(played: PlayedRollout) -> None:
    played.start("--canary", "1")
    before = played.rollout
    assert played.run("rollout", "pause", NAME).exit_code == 0
    assert played.rollout == replace(before, paused=True)
    assert played.run("rollout", "resume", NAME).exit_code == 0
    assert played.rollout == before
    assert played.run("rollout", "abort", NAME).exit_code == 0
    assert played.rollout == before.into(RolloutPhase.ABORTED)
    again = played.run("rollout", "resume", NAME)
    assert again.exit_code == 2
    assert "is over (aborted)" in again.stderr


def test_each_command_is_recorded_with_who_asked_and_why(played: PlayedRollout) -> None:
    played.start("--canary", "1", "--as", "alice", "--why", "ticket 7")
    played.run("rollout", "pause", NAME, "--as", "bob")
    listed = played.store.list(played.keys.audits)[1]
    told = [AuditRecord.from_json(kv.value) for kv in sorted(listed, key=lambda kv: kv.revision)]

    assert [(one.verb, one.by, one.why, one.selector, one.outcome) for one in told] == [
        ("rollout start", "alice", "ticket 7", NAME, "carried out"),
        ("rollout pause", "bob", "", NAME, "carried out"),
    ]
    assert played.rollout.by == "alice"


def test_a_stopped_rollout_goes_on_where_it_was(played: PlayedRollout) -> None:
    played.start("--canary", "1")
    played.moves(played.rollout.into(RolloutPhase.STOPPED, "1 failed"))
    assert played.run("rollout", "resume", NAME).exit_code == 0

    assert (played.rollout.phase, played.rollout.reason) == (RolloutPhase.CANARY, "")


def test_status_shows_waves_with_their_progress_and_who_failed_and_why(
    played: PlayedRollout,
) -> None:
    played.start("--canary", "1")
    rollout = played.rollout
    done = played.network("a", rollout.revision, rollout=rollout.id)
    played.network("b")
    bad = played.network("c", rollout=rollout.id)
    played.records.report(bad, action=Action.MODIFY, error="Heat says no")
    played.moves(replace(rollout, canaries=(done, bad)))
    text = played.run("rollout", "status", NAME)
    told = json.loads(played.run("rollout", "status", NAME, "-o", "json").stdout)

    assert text.exit_code == 1
    assert "network:c  Heat says no" in text.stdout
    canary = told["waves"][0]
    assert (canary["wave"], canary["complete"], canary["failed"]) == ("canary", 1, 1)
    assert told["failed"] == [{"type": "network", "id": "c", "reason": "Heat says no"}]
    assert told["rollout"]["phase"] == "canary"


def test_a_canary_is_not_outdated(played: PlayedRollout) -> None:
    played.start("--canary", "1")
    ref = played.network("a", played.rollout.revision)

    def outdated() -> bool:
        found = read_all(played.store, played.keys)
        return Comparison(found, set()).of(ref) is not None

    assert not outdated()
    played.moves(played.rollout.into(RolloutPhase.ABORTED))
    assert outdated()


def test_list_shows_the_last_rollout_of_each_template(played: PlayedRollout) -> None:
    played.start("--canary", "1")
    listed = json.loads(played.run("rollout", "list", "-o", "json").stdout)

    assert [one["template"] for one in listed] == [NAME]
    assert "canary" in played.run("rollout", "list").stdout


def test_a_template_without_a_rollout_is_said_to_have_none(played: PlayedRollout) -> None:
    result = played.run("rollout", "status", "port")

    assert result.exit_code == 2
    assert "has no roll-out" in result.stderr
