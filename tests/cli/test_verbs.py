"""The options that all verbs have in common: whom they name, who asks and why, and what they would do."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from orchestrator.cli.exits import Exit
from orchestrator.cli.verbs.authors import verb
from orchestrator.clients.heat import Heat
from orchestrator.core.records import LeavingMode, RetryAsked, Run, Step
from orchestrator.core.refs import Ref, StackName
from orchestrator.core.rendering import StackRequest

from tests.scripted.heat import ScriptedHeat

from .conftest import Records, Run_

NET, SUB, PORT = Ref("network", "n"), Ref("subnet", "s"), Ref("port", "p")


def failed(records: Records, ref: Ref, *, tenant: str = "t1", root: Ref | None = None) -> None:
    incarnation = records.config(ref, tenant_id=tenant)
    records.handle(ref, 1, incarnation)
    records.report(ref, error="Heat ended in CREATE_FAILED: no quota", root=root)


def verbs(run: Run_) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("history", "--verbs", "-o", "json").stdout)
    return found


def asked(records: Records) -> set[Ref | None]:
    listed = records.store.list(records.keys.retries)[1]
    return {records.keys.ref(records.keys.retries, kv.key) for kv in listed}


def test_who_asks_and_why_is_recorded_with_the_request(run: Run_, written: Records) -> None:
    failed(written, NET)
    told = run("retry", "network", "n", "--as", "alice", "--why", "quota raised")
    assert told.exit_code == Exit.OK, told.output

    (taken,) = verbs(run)
    assert {name: taken[name] for name in ("type", "id", "verb", "by", "why", "outcome")} == {
        "type": "network",
        "id": "n",
        "verb": "retry",
        "by": "alice",
        "why": "quota raised",
        "outcome": "",
    }
    kv = written.store.get(written.keys.below(written.keys.retries, NET))
    assert kv is not None and kv.revision == taken["revision"], "in one transaction"
    audit = RetryAsked.from_json(kv.value).audit
    assert audit is not None and audit.by == "alice"
    assert "quota raised" in run("history", "--verbs").stdout


def test_without_a_name_it_is_the_user_of_the_machine_or_who_called_sudo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = socket.gethostname()
    monkeypatch.setenv("LOGNAME", "root")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert verb("retry", None, None).by == f"root@{here}"
    monkeypatch.setenv("SUDO_USER", "alice")
    assert verb("retry", None, None).by == f"alice@{here}"


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201])
def test_a_name_that_nobody_can_have_is_refused(run: Run_, written: Records, name: str) -> None:
    failed(written, NET)
    assert run("retry", "--all", "--as", name).exit_code == Exit.INPUT
    assert not asked(written)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["network"], {NET}),
        (["--all"], {NET, SUB, PORT}),
        (["--tenant", "t2"], {PORT}),
        (["--cause", "network:n"], {NET, SUB}),
        (["subnet", "--cause", "network:n"], {SUB}),
        (["--root", "network:n", "--tenant", "t2"], set()),
    ],
)
def test_the_words_of_a_selector_choose_together(
    run: Run_, written: Records, words: list[str], chosen: set[Ref]
) -> None:
    failed(written, NET)
    failed(written, SUB, root=NET)
    failed(written, PORT, tenant="t2")

    would = run("retry", *words, "--dry-run", "-o", "json")
    assert would.exit_code == Exit.OK, would.output
    assert {Ref(one["type"], one["id"]) for one in json.loads(would.stdout)} == chosen
    assert not asked(written) and not verbs(run), "a dry run writes nothing"

    assert run("retry", *words).exit_code == Exit.OK
    assert asked(written) == chosen


def test_a_verb_that_names_nobody_is_refused(run: Run_, written: Records) -> None:
    failed(written, NET)
    for name in ("retry", "rebuild"):
        told = run(name)
        assert told.exit_code == Exit.INPUT
        assert f"nothing to {name}: name TYPE ID" in told.stderr


def test_apply_delete_and_their_authors_are_recorded_with_the_write(
    run: Run_, written: Records
) -> None:
    text = "type: network\nid: n\nbody: {tenant_id: t1, name: x}\n"
    assert run("apply", "-f", "-", "--as", "bob", input=text).exit_code == Exit.OK
    assert run("apply", "-f", "-", "--as", "bob", input=text).exit_code == Exit.OK
    would = run("delete", "network", "n", "--dry-run")
    assert would.exit_code == Exit.OK, would.output
    assert not written.wanted(NET)["marked_for_deletion"]
    assert run("delete", "network", "n", "--why", "CHG-1").exit_code == Exit.OK

    told = [(one["verb"], one["id"], one["outcome"]) for one in verbs(run)]
    assert told == [("apply", "n", "carried out"), ("delete", "n", "carried out")]
    key = written.keys.below(written.keys.config, NET)
    config = written.store.get(key)
    assert config is not None and verbs(run)[-1]["revision"] == config.revision


def test_the_history_of_a_resource_shows_its_verbs(run: Run_, written: Records) -> None:
    failed(written, NET)
    assert run("retry", "network", "n", "--as", "alice", "--why", "CHG-1").exit_code == Exit.OK
    document = json.loads(run("history", "network", "n", "-o", "json").stdout)

    (taken,) = [one for one in document["changes"] if one["record"] == "verb"]
    assert (taken["says"], taken["author"]) == ("retry network:n: asked for (CHG-1)", "alice")
    assert taken["time_from"] == "record"
    assert "a person asks" not in run("history", "network", "n").stdout, "it is told once"


def test_a_very_large_command_leaves_one_record(run: Run_, written: Records) -> None:
    documents = [
        f"{{type: network, id: n{number}, body: {{tenant_id: t1}}}}" for number in range(101)
    ]
    told = run("apply", "-f", "-", input="\n---\n".join(documents))
    assert told.exit_code == Exit.OK, told.output

    (taken,) = verbs(run)
    assert (taken["type"], taken["outcome"]) == (None, "carried out, 101 resources")


# Pauses -------------------------------------------------------------------------------------------


def test_status_says_what_is_paused_by_whom_and_until_when(run: Run_, written: Records) -> None:
    written.config(NET)
    written.job(NET)
    told = run("pause", "network", "--until", "1h", "--as", "alice", "--why", "upgrade")
    assert told.exit_code == Exit.OK, told.output

    status = run("status")
    assert status.exit_code == Exit.PROBLEM
    words = " ".join(status.stdout.split())
    assert "Paused: network, by alice since 20" in words and ", until 20" in words
    assert "(upgrade). `orchestrator resume network` ends it." in words
    assert "1 job waiting for that." in words
    document = json.loads(run("status", "-o", "json").stdout)
    assert [one["scope"] for one in document["paused"]] == ["network"]
    assert [one["stage"] for one in document["running"]] == ["paused"]

    assert run("resume", "network").exit_code == Exit.OK
    assert "Paused" not in run("status").stdout
    assert not written.store.list(written.keys.pauses)[1]
    assert [(one["verb"], one["selector"]) for one in verbs(run)] == [
        ("pause", "network"),
        ("resume", "network"),
    ]


def test_a_pause_says_when_a_worker_still_makes_a_request(run: Run_, written: Records) -> None:
    job = written.job(NET, run=Run(Step.CLAIMED))
    told = run("pause", "--all", "--timeout", "0", "-o", "json")
    assert told.exit_code == Exit.TIMEOUT
    assert json.loads(told.stdout)["under_way"] == [f"t1/{job}"]
    assert written.store.get(written.keys.pauses) is not None, "the pause stays"


def test_a_dry_run_of_a_pause_writes_nothing(run: Run_, written: Records) -> None:
    assert run("pause", "--all", "--dry-run").exit_code == Exit.OK
    assert not verbs(run) and not written.store.list(written.keys.pauses)[1]
    assert run("pause", "--tenant", "t1").exit_code == Exit.OK
    assert run("resume", "--all", "--dry-run").exit_code == Exit.OK
    assert written.store.get(written.keys.pauses) is not None


@pytest.mark.parametrize(
    "words",
    [
        ["pause"],
        ["pause", "network:n"],
        ["pause", "--all", "--tenant", "t1"],
        ["pause", "--all", "--until", "soon"],
        ["pause", "--all", "--until", "2020-01-01T00:00:00Z"],
        ["resume", "--all"],
        ["resume", "port"],
    ],
    ids=" ".join,
)
def test_a_pause_that_cannot_be_meant_is_refused(
    run: Run_, written: Records, words: list[str]
) -> None:
    assert run(*words).exit_code == Exit.INPUT
    assert not written.store.list(written.keys.pauses)[1] and not verbs(run)


# Release and forget -------------------------------------------------------------------------------


def test_what_a_release_would_leave_is_shown(run: Run_, written: Records) -> None:
    failed(written, NET)
    told = run("release", "network", "n", "--dry-run", "-o", "json")
    assert told.exit_code == Exit.OK, told.output
    assert json.loads(told.stdout) == [
        {
            "type": "network",
            "id": "n",
            "result": "would be released",
            "note": "leaves network_n (CREATE_FAILED) in t1",
        }
    ]
    assert not asked(written)


def test_a_release_that_no_bridge_carries_out_yet_is_told(run: Run_, written: Records) -> None:
    failed(written, NET)
    config = written.store.get(written.keys.below(written.keys.config, NET))
    told = run("release", "network", "n", "--yes", "--timeout", "0")
    assert told.exit_code == Exit.TIMEOUT
    assert "has not dealt with all of it yet" in told.stderr
    kv = written.store.get(written.keys.below(written.keys.retries, NET))
    assert kv is not None and config is not None
    request = RetryAsked.from_json(kv.value)
    assert (request.leave, request.config) == (LeavingMode.RELEASE, config.revision)


def test_what_others_use_is_not_released_by_the_way(run: Run_, written: Records) -> None:
    for ref, uses in ((NET, ()), (SUB, (NET,))):
        incarnation = written.config(ref)
        written.handle(ref, 1, incarnation, references={"a": uses})
        written.report(ref)
    told = run("release", "network", "n", "--yes")
    assert told.exit_code == Exit.INPUT and "is used by subnet:s" in told.stderr
    assert run("release", "network", "n", "--yes", "--force", "--timeout", "0").exit_code == 3


@pytest.mark.parametrize("words", [[], ["--force"], ["--why", "gone"]], ids=" ".join)
def test_a_forget_needs_force_and_a_reason(run: Run_, written: Records, words: list[str]) -> None:
    failed(written, NET)
    told = run("forget", "network", "n", "--yes", *words)
    assert told.exit_code == Exit.INPUT and "needs --force and --why" in told.stderr
    assert not asked(written)


# Cancelling ---------------------------------------------------------------------------------------


def test_the_newest_job_that_is_not_in_heat_is_cancelled(run: Run_, written: Records) -> None:
    written.config(NET)
    written.config(PORT)
    first = written.job(NET, run=Run(Step.IN_HEAT, asked_at=1.0))
    written.job(NET, first, suffix="11111")
    written.job(PORT, run=Run(Step.IN_HEAT, asked_at=1.0))
    would = run("cancel", "--all", "--dry-run", "-o", "json")
    assert [(one["id"], one["note"]) for one in json.loads(would.stdout)] == [
        ("n", "v1, waits for other jobs"),
        ("p", "v1, in Heat"),
    ]
    assert run("cancel", "network", "n", "--timeout", "0").exit_code == Exit.TIMEOUT
    kv = written.store.get(written.keys.below(written.keys.retries, NET))
    assert kv is not None and RetryAsked.from_json(kv.value).cancel.endswith("11111")
    assert run("cancel", "--all").exit_code == Exit.INPUT, "many are not cancelled unasked"
    assert "no job on subnet:s" in run("cancel", "subnet", "s").stderr


# Adopting -----------------------------------------------------------------------------------------


def test_what_an_adoption_would_do_is_shown_first(
    run: Run_, written: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "type: network\nid: n\nbody: {tenant_id: t1, name: x}\n"
    assert run("apply", "-f", "-", input=text).exit_code == Exit.OK
    with ScriptedHeat() as heat:
        environment = heat.environment()
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        request = StackRequest(StackName("legacy"), "t1", "heat_template_version: x", {}, None, {})
        made = Heat().create(request, "x")
        missing = run("adopt", "network", "n", "nobody", "--dry-run", **environment)
        told = run("adopt", "network", "n", made, "--dry-run", **environment)
        later = run("adopt", "network", "n", "legacy", "--yes", "--timeout", "0", **environment)

    assert missing.exit_code == Exit.INPUT and "knows no stack nobody" in missing.stderr
    assert told.exit_code == Exit.OK, told.output
    assert "legacy" in told.stdout and "CREATE_COMPLETE" in told.stdout
    assert "Plan: 1 to update" in told.stdout
    assert later.exit_code == Exit.TIMEOUT, later.output
    kv = written.store.get(written.keys.below(written.keys.retries, NET))
    assert kv is not None
    left = RetryAsked.from_json(kv.value)
    assert (left.adopt, left.status) == ("legacy", "CREATE_COMPLETE")
