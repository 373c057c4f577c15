"""Verbs of operators: each is carried out once, and its record says who asked and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.bridge.auditing import Auditing
from orchestrator.bridge.finished import Finished
from orchestrator.cli.verbs import requesting
from orchestrator.cli.verbs.authors import AskedVerb, verb
from orchestrator.core.records import AuditRecord, Handled, RetryAsked
from orchestrator.core.refs import Json, Ref

from tests.factories import network, port

from .driver import System, complete

N1, P1 = network("n1"), port("p1")


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


def record(system: System, ref: Ref | None, asked: AskedVerb) -> AuditRecord:
    found = system.store.get(system.keys.audit(ref, asked.id))
    assert found is not None
    return AuditRecord.from_json(found.value)


def outcomes(system: System, ref: Ref | None, asked: AskedVerb) -> list[str]:
    """Every outcome that was ever written of a verb."""
    key = system.keys.audit(ref, asked.id)
    written = [e.value for e in system.store.history if e.key == key and e.value is not None]
    told = (AuditRecord.from_json(value).outcome for value in written)
    return [outcome for outcome in told if outcome]


def failed(system: System) -> None:
    """A network whose creation Heat has failed."""
    system.outcome = lambda stack: {"status": "FAILED"}
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    system.outcome = complete


def ask(system: System, ref: Ref, asked: RetryAsked, name: str = "retry") -> AskedVerb:
    wanted = verb(name, "alice@ops1", "CHG-4711", str(ref))
    requesting.ask(system.store, system.keys, wanted, {ref: asked})
    return wanted


def test_the_record_of_a_verb_is_written_with_it_and_its_outcome_when_it_is_dealt_with(
    system: System,
) -> None:
    failed(system)
    asked = ask(system, N1, RetryAsked())
    before = record(system, N1, asked)
    assert (before.by, before.why, before.outcome) == ("alice@ops1", "CHG-4711", "")
    system.until(lambda: record(system, N1, asked).outcome)

    assert record(system, N1, asked).outcome == "carried out"
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and system.idle())
    assert outcomes(system, N1, asked) == ["carried out"]
    assert not system.store.list(system.keys.retries)[1]


def test_a_retry_of_what_has_not_failed_is_recorded_as_nothing_to_do(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    asked = ask(system, N1, RetryAsked())
    system.until(lambda: record(system, N1, asked).outcome)

    assert record(system, N1, asked).outcome.startswith("nothing to do")


def test_a_request_that_replaces_another_one_says_so_in_the_record_of_that(
    system: System,
) -> None:
    failed(system)
    first = ask(system, N1, RetryAsked())
    second = ask(system, N1, RetryAsked())
    system.until(lambda: record(system, N1, second).outcome)

    assert record(system, N1, first).outcome == "replaced by a later request"
    assert record(system, N1, second).outcome == "carried out"


def test_a_verb_whose_leader_died_after_the_job_was_made_is_carried_out_once(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(system)
    made = len(system.jobs_made())
    with monkeypatch.context() as dying:
        dying.setattr(Finished, "remove", lambda self: None)
        asked = ask(system, N1, RetryAsked())
        system.lead_until(lambda: len(system.jobs_made()) > made)
        system.stop()
    assert not outcomes(system, N1, asked)
    system.start()
    system.until(lambda: record(system, N1, asked).outcome and system.idle())

    assert outcomes(system, N1, asked) == ["carried out"]
    assert len(system.jobs_made()) == made + 1


def test_a_rebuild_that_was_asked_twice_is_recorded_twice_and_done_once(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    found = system.store.get(system.keys.below(system.keys.handled, N1))
    assert found is not None
    request = RetryAsked(rebuild=Handled.from_json(found.value).job)
    first = ask(system, N1, request, "rebuild")
    system.until(lambda: record(system, N1, first).outcome and system.idle())
    second = ask(system, N1, request, "rebuild")
    system.until(lambda: record(system, N1, second).outcome and system.idle())

    assert record(system, N1, first).outcome == "carried out"
    assert record(system, N1, second).outcome == "nothing to do: there is a later job"


def test_a_request_of_an_earlier_release_needs_no_record(system: System) -> None:
    failed(system)
    system.store.put(system.keys.below(system.keys.retries, N1), "{}")
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and system.idle())

    assert not system.store.list(system.keys.retries)[1]
    assert not system.store.list(system.keys.audits)[1]


def test_only_the_newest_records_of_verbs_are_kept(system: System) -> None:
    written: list[Json] = []
    for number in range(5):
        done = verb("apply", f"user{number}", None).done(system.keys, P1)
        written += done
        for key, value in done.items():
            system.store.put(key, value)
    Auditing(system.store, system.keys, system._leadership).drop_oldest(2)

    left = [kv.key for kv in system.store.list(system.keys.audits)[1]]
    assert sorted(left) == sorted(written[-2:])


@pytest.mark.parametrize(
    "odd", [b"", b"[]", b"{}", b'{"audit": 7}', b'{"audit": {"id": "x"}}', b'{"confirm": "x"}']
)
def test_a_request_that_cannot_be_understood_asks_for_a_retry(odd: bytes) -> None:
    assert RetryAsked.from_json(odd) == RetryAsked()


def test_a_record_of_a_verb_is_read_as_it_was_written() -> None:
    before = AuditRecord("x", "retry", "alice", "2026-11-28T07:45:12Z", "why", "--all")
    after = before.with_outcome("carried out", "2026-11-28T07:45:13Z")
    assert AuditRecord.from_json(after.to_json()) == after
    assert json.loads(before.to_json()).keys() == {"id", "verb", "by", "at", "why", "selector"}
