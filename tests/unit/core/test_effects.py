"""Which keys change together, and what each transaction relies on: whole transactions."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.core import effects
from orchestrator.core.effects import Basis, JobOutcome
from orchestrator.core.jobs import Action
from orchestrator.core.keys import run_id
from orchestrator.core.planning import Clean, Hold, Refuse, Report, Start
from orchestrator.core.records import Built, Deviation, Drift, DriftKind, Failed, Held, Run, Step
from orchestrator.core.refs import Json
from orchestrator.core.transactions import Transaction, absent, exists, same_incarnation, unchanged

from tests import factories
from tests.factories import job, keys, network, port, wanted

KEYS = keys()
N1 = network()
CONFIG, STATE, STACK = (
    "/config/v2.0/networks/n1",
    "/state/v2.0/networks/n1",
    "/esi-worker/heat_stacks/v2.0/networks/n1",
)
JOB_STATE, MONITORING = "/esi-worker/job_state/v2.0/networks/n1", "/monitoring/v2.0/networks/n1"
HANDLED, HELD, FAILED, BUILT, DRIFT, UPDATE, HEALTH = (
    f"/esi-worker/orchestrator/{folder}/v2.0/networks/n1"
    for folder in ("handled", "held", "failed", "built", "drift", "updates", "health")
)
JOB = job(N1, version=3)
RUN_ID = run_id("t1", JOB.id)
JOB_KEY, RUN = f"/jobs/all/{JOB.id}", f"/esi-worker/orchestrator/runs/t1/{JOB.id}"
WANTED = wanted(N1, 3)
BASIS = Basis(job=20, run=21, incarnation=10)
OURS = (unchanged(JOB_KEY, 20), unchanged(RUN, 21))
OUTPUTS = [{"output_key": "id", "output_value": "x"}]


def written(transaction: Transaction) -> dict[str, Json]:
    return {key: json.loads(value) for key, value in transaction.puts.items()}


def state(worker_state: str, status: str, outputs: list[Any], error: str = "") -> Json:
    inner = {
        "worker_state": worker_state,
        "heat_outputs": json.dumps(outputs),
        "orchestration_state": status,
    }
    return {"state": inner, "version": 3, "error": error}


def test_a_report_relies_on_the_very_config() -> None:
    transaction = effects.report(KEYS, Report(WANTED), False)

    assert (transaction.requires, transaction.deletes) == ((unchanged(CONFIG, 12),), (HELD, FAILED))
    assert written(transaction) == {
        STATE: {"state": {"worker_state": "READ_COMPLETE"}, "version": 3, "error": ""}
    }


def test_a_start_makes_the_job_and_remembers_it_at_once() -> None:
    record = factories.handled(N1, 3)
    transaction = effects.start(KEYS, Start(JOB, record, WANTED))

    assert transaction == Transaction(
        requires=(unchanged(CONFIG, 12), absent(JOB_KEY)),
        puts={JOB_KEY: JOB.to_json(), HANDLED: record.to_json()},
        deletes=(HELD,),
    )


def test_a_start_for_what_is_gone_relies_on_its_absence() -> None:
    assert effects.start(KEYS, Start(JOB, factories.handled(N1, 3), None)).requires == (
        absent(CONFIG),
        absent(JOB_KEY),
    )


def test_a_start_that_supersedes_relies_on_nobody_having_taken_the_old_job() -> None:
    old = job(N1, version=2, suffix="older")
    transaction = effects.start(KEYS, Start(JOB, factories.handled(N1, 3), WANTED, (old,)))

    assert set(transaction.requires) == {
        unchanged(CONFIG, 12),
        absent(JOB_KEY),
        exists(f"/jobs/all/{old.id}"),
        absent(f"/esi-worker/orchestrator/runs/t1/{old.id}"),
    }
    assert transaction.deletes == (HELD, f"/jobs/all/{old.id}")


def test_a_refusal_writes_state_failure_and_what_was_handled() -> None:
    record, failed = factories.handled(N1, 3), Failed(3, Action.MODIFY, "bad", N1)
    transaction = effects.refuse(KEYS, Refuse(WANTED, record, failed), False)

    assert (transaction.requires, transaction.deletes) == ((unchanged(CONFIG, 12),), (HELD,))
    assert written(transaction) == {
        STATE: state("MODIFY_FAILED", "UPDATE_FAILED", [], "bad"),
        HANDLED: json.loads(record.to_json()),
        FAILED: {
            "version": 3,
            "action": "modify",
            "error": "bad",
            "root": N1.to_record(),
            "attempts": 1,
        },
    }


def test_holding_back_is_visible() -> None:
    held = Held(3, port(), "waits")

    assert effects.hold(KEYS, N1, Hold(held, WANTED)) == Transaction(
        (unchanged(CONFIG, 12),), {HELD: held.to_json()}
    )
    assert effects.hold(KEYS, N1, Hold(held, None)).requires == (absent(CONFIG),)


def test_drift_is_stored_only_if_no_operation_of_ours_came_between() -> None:
    found = Drift("t1", (Deviation(DriftKind.STATUS),), since=1.0)
    basis = effects.DriftBasis(drift=3, stack=4, handled=5)
    requires = (unchanged(DRIFT, 3), unchanged(HANDLED, 5), unchanged(STACK, 4))

    stored = effects.note_drift(KEYS, N1, found, basis)
    assert stored == Transaction(requires, {DRIFT: found.to_json()})
    assert effects.note_drift(KEYS, N1, None, basis) == Transaction(requires, deletes=(DRIFT,))


def test_what_a_person_decides_about_drift_relies_on_what_was_seen() -> None:
    found = Drift("t1", (Deviation(DriftKind.STATUS),), since=1.0)
    accepted = effects.accept_drift(DRIFT, found, 7)

    assert accepted.requires == (unchanged(DRIFT, 7),)
    assert Drift.from_json(accepted.puts[DRIFT]).accepted
    corrected = effects.note_correction(DRIFT, found, 7)
    assert Drift.from_json(corrected.puts[DRIFT]).corrections == 1


def test_cleaning_removes_everything_if_the_config_is_still_gone() -> None:
    assert effects.clean(KEYS, N1, Clean()) == Transaction(
        (absent(CONFIG),),
        {},
        (STATE, MONITORING, STACK, JOB_STATE, HANDLED, HELD, FAILED, BUILT, DRIFT, UPDATE, HEALTH),
    )


def test_a_waiting_job_ends_with_its_state() -> None:
    failed = Failed(3, Action.CREATE, "because", port())
    transaction = effects.fail_dependents(KEYS, JOB, WANTED, failed, False, told=True)

    assert (transaction.requires, transaction.deletes) == (
        (exists(JOB_KEY), unchanged(CONFIG, 12)),
        (JOB_KEY, JOB_STATE),
    )
    assert written(transaction) == {
        STATE: state("CREATE_FAILED", "CREATE_FAILED", [], "because"),
        FAILED: json.loads(failed.to_json()),
    }


def test_a_waiting_job_whose_config_is_gone_ends_without_a_state() -> None:
    failed = Failed(3, Action.DELETE, "because", port())

    assert effects.fail_dependents(KEYS, JOB, None, failed, False, told=False) == Transaction(
        (exists(JOB_KEY), absent(CONFIG)), {}, (JOB_KEY, JOB_STATE)
    )


def test_runs_are_removed_as_they_were_read() -> None:
    assert effects.remove_runs(iter([("a", 1), ("b", 2)])) == Transaction(
        (unchanged("a", 1), unchanged("b", 2)), {}, ("a", "b")
    )


def test_a_claim_hangs_on_the_lease_and_nothing_else_does() -> None:
    run = Run(Step.CLAIMED, attempt=2)

    assert effects.claim(KEYS, RUN_ID, run, BASIS) == Transaction(
        OURS, {RUN: run.to_json(), JOB_STATE: "{}"}, leased=frozenset({RUN})
    )


def test_a_job_of_which_nothing_was_read_is_claimed_if_no_worker_had_it_before() -> None:
    run = Run(Step.CLAIMED)

    assert effects.claim(KEYS, RUN_ID, run) == Transaction(
        (exists(JOB_KEY), absent(RUN)),
        {RUN: run.to_json(), JOB_STATE: "{}"},
        leased=frozenset({RUN}),
    )


def test_a_move_relies_on_the_run_being_where_it_was_left() -> None:
    run = Run(Step.IN_HEAT, stack="x")

    assert effects.move(KEYS, JOB, BASIS, run) == Transaction(OURS, {RUN: run.to_json()})


def test_what_a_request_was_made_of_is_written_with_the_move() -> None:
    run, built = Run(Step.IN_HEAT, stack="x"), Built(JOB.id, "network", "r1")

    assert effects.move(KEYS, JOB, BASIS, run, built) == Transaction(
        OURS, {RUN: run.to_json(), BUILT: built.to_json()}
    )


def test_what_a_request_was_made_of_is_written_with_the_stack_that_is_done_at_once() -> None:
    built = Built(JOB.id, "network", "r1")
    ended = JobOutcome("CREATE_COMPLETE", OUTPUTS, "done")

    assert effects.end_stack(KEYS, JOB, BASIS, ended, built).puts[BUILT] == built.to_json()
    refused = effects.not_built(Action.CREATE, "refused")
    assert BUILT not in effects.end_stack(KEYS, JOB, BASIS, refused, built).puts


def test_heats_time_of_our_update_is_written_with_the_stack() -> None:
    ended = JobOutcome("UPDATE_COMPLETE", OUTPUTS, updated="2026-11-28T07:45:12Z")
    told = written(effects.end_stack(KEYS, JOB, BASIS, ended))

    assert told[UPDATE] == {"job": JOB.id, "at": "2026-11-28T07:45:12Z"}
    created = JobOutcome("CREATE_COMPLETE", OUTPUTS)
    assert UPDATE not in effects.end_stack(KEYS, JOB, BASIS, created).puts


def test_nothing_is_known_of_what_a_deleted_stack_was_built_from() -> None:
    deletion = job(N1, Action.DELETE, 3)
    ended = JobOutcome("DELETE_COMPLETE", live=False)

    assert effects.end_stack(KEYS, deletion, BASIS, ended).deletes == (BUILT, UPDATE)
    failed = JobOutcome("DELETE_FAILED", error="why")
    assert effects.end_stack(KEYS, deletion, BASIS, failed).deletes == ()


def test_runs_are_marked_together() -> None:
    run = Run(Step.ENDED)

    assert effects.mark_ended([(run, "a", 1), (run, "b", 2)]) == Transaction(
        (unchanged("a", 1), unchanged("b", 2)), {"a": run.to_json(), "b": run.to_json()}
    )


def test_the_stack_record_comes_before_the_filled_job_state() -> None:
    transaction = effects.end_stack(
        KEYS, JOB, BASIS, JobOutcome("CREATE_COMPLETE", OUTPUTS, "done")
    )
    stack = {
        "stack_id": "network_n1",
        "tenant_id": "t1",
        "stack_status": "CREATE_COMPLETE",
        "output": OUTPUTS,
        "status_reason": "done",
        "id": "network:n1",
    }

    assert (transaction.requires, transaction.deletes) == (OURS, ())
    assert list(written(transaction).items()) == [
        (STACK, stack),
        (JOB_STATE, {"heat_outputs": OUTPUTS, "orchestration_state": "CREATE_COMPLETE"}),
    ]


def test_what_heat_refused_to_make_has_no_stack_record() -> None:
    transaction = effects.end_stack(KEYS, JOB, BASIS, effects.not_built(Action.CREATE, "refused"))

    assert written(transaction) == {
        JOB_STATE: {"heat_outputs": [], "orchestration_state": "CREATE_FAILED"}
    }


def test_the_end_of_a_job_writes_the_state_if_the_config_is_the_same_incarnation() -> None:
    transaction = effects.end_job(
        KEYS, JOB, BASIS, JobOutcome("CREATE_COMPLETE", OUTPUTS, "done"), config=True
    )

    assert transaction.requires == (*OURS, same_incarnation(CONFIG, 10))
    assert transaction.deletes == (JOB_STATE, JOB_KEY, FAILED)
    assert written(transaction) == {
        RUN: {"step": "done", "asked": True, "complete": True, "live": True},
        STATE: state("CREATE_COMPLETED", "CREATE_COMPLETE", OUTPUTS),
    }


def test_the_end_of_a_job_whose_config_is_gone_writes_no_state() -> None:
    transaction = effects.end_job(
        KEYS, JOB, BASIS, JobOutcome("DELETE_COMPLETE", live=False), config=False
    )

    assert (transaction.requires, written(transaction)) == (
        OURS,
        {RUN: {"step": "done", "asked": True, "complete": True}},
    )


def test_a_failed_end_counts_attempts_of_the_same_version() -> None:
    ended = JobOutcome("UPDATE_FAILED", [], "why", "the error", root=port())
    same, other = (
        Failed(3, Action.CREATE, "x", N1, attempts=2),
        Failed(2, Action.CREATE, "x", N1, attempts=2),
    )
    records = [
        written(effects.end_job(KEYS, JOB, BASIS, ended, config=True, earlier=earlier))
        for earlier in (None, same, other)
    ]

    assert [record[FAILED]["attempts"] for record in records] == [1, 3, 1]
    assert records[0] == {
        RUN: {
            "step": "done",
            "asked": True,
            "live": True,
            "reason": "the error",
            "root": port().to_record(),
        },
        FAILED: {
            "version": 3,
            "action": "create",
            "error": "the error",
            "root": port().to_record(),
            "attempts": 1,
        },
        STATE: state("CREATE_FAILED", "UPDATE_FAILED", [], "the error"),
    }


def test_a_try_that_heat_failed_is_counted_beside_the_run() -> None:
    run = Run(Step.RETRY, retry=2, retries=3)
    earlier = Failed(3, Action.CREATE, "x", N1, attempts=1, job=JOB.id, tries=1)
    transaction = effects.fail_try(KEYS, JOB, BASIS, run, "no host", earlier)

    assert transaction.requires == OURS
    assert transaction.puts[RUN] == run.to_json()
    assert Failed.from_json(transaction.puts[KEYS.below(KEYS.failed, N1)]) == Failed(
        3, JOB.action, "no host", N1, attempts=2, job=JOB.id, tries=2
    )


def test_a_monitoring_link_marks_the_run() -> None:
    outputs = [{"output_key": "lb_monitoring_link", "output_value": "http://x"}]

    assert (
        written(
            effects.end_job(KEYS, JOB, BASIS, JobOutcome("CREATE_COMPLETE", outputs), config=False)
        )[RUN]["monitored"]
        is True
    )


def test_states_are_texts_for_upstream_gohan() -> None:
    transaction = effects.end_job(
        KEYS, JOB, BASIS, JobOutcome("CREATE_COMPLETE"), config=True, as_string=True
    )

    assert (
        json.loads(written(transaction)[STATE]["state"])
        == state("CREATE_COMPLETED", "CREATE_COMPLETE", [])["state"]
    )


def test_a_resource_without_tenant_runs_below_a_percent_sign() -> None:
    homeless = job(N1, tenant_id=None)

    assert list(effects.move(KEYS, homeless, BASIS, Run(Step.IN_HEAT)).puts) == [
        f"/esi-worker/orchestrator/runs/%/{homeless.id}"
    ]


def test_no_effect_touches_a_key_of_another_resource() -> None:
    ended = JobOutcome("CREATE_COMPLETE", OUTPUTS)
    transactions = [
        effects.end_stack(KEYS, JOB, BASIS, ended),
        effects.end_job(KEYS, JOB, BASIS, ended, config=True),
        effects.clean(KEYS, N1, Clean()),
    ]
    touched = {
        key for transaction in transactions for key in (*transaction.puts, *transaction.deletes)
    }

    assert {key for key in touched if "n1" not in key} == set()
