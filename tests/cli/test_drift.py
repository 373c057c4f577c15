"""``orchestrator drift``: what is told, what is asked of the leader, and what a person decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from orchestrator.cli.drifting import Verb
from orchestrator.core.records import (
    NO_JOB,
    Depth,
    Deviation,
    Drift,
    DriftKind,
    RetryAsked,
    Sweep,
    SweepAsked,
)
from orchestrator.core.refs import JobId, Ref
from orchestrator.views.overview import overview
from orchestrator.views.reading import read_all, read_one
from orchestrator.views.resource import resources
from orchestrator.views.standings import Phase, Progress

from .conftest import Records, Run_
from .test_plan import built

STATUS = Deviation(DriftKind.STATUS, says="Heat has the stack in UPDATE_FAILED")
LOST = Deviation(DriftKind.LOST, says="Heat has no stack network_a any more")


def drifted(
    written: Records, ref: Ref, *deviations: Deviation, job: JobId = NO_JOB, **fields: object
) -> None:
    drift = Drift("t1", deviations, since=100.0, job=job, **fields)  # type: ignore[arg-type]
    written.put(written.keys.drift, ref, drift.to_json())


def swept(written: Records, **fields: object) -> None:
    sweep = Sweep(200.0, stacks=2, **fields)  # type: ignore[arg-type]
    written.store.put(written.keys.sweep("t1"), sweep.to_json())


@pytest.fixture
def two(written: Records) -> list[Ref]:
    """Two networks that are built, and whose stacks were compared."""
    swept(written)
    return [built(written, "network", "a"), built(written, "network", "b")]


def test_without_drift_it_says_how_far_that_is_known(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    result = run("drift")

    assert result.exit_code == 0, result.output
    assert "Nothing is known to differ." in result.stdout
    assert "Compared: 2 stacks of 1 project" in result.stdout
    assert "Not compared: templates and parameters; properties" in result.stdout


def test_drift_is_told_with_the_reason_and_exit_code_1(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    drifted(written, two[0], STATUS)
    result = run("drift")

    assert result.exit_code == 1
    assert "network:a" in result.stdout and "UPDATE_FAILED" in result.stdout
    assert "network:b" not in result.stdout
    assert run("drift", "network", "b").exit_code == 0
    assert run("drift", "network:a").exit_code == run("drift", "networks").exit_code == 1


def test_what_was_accepted_or_released_is_named_and_is_no_drift(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    left = Deviation(DriftKind.UNKNOWN, says="Heat has the stack network_c, which alice released")
    drifted(written, Ref("network", "c"), left, accepted=True)
    result = run("drift")

    assert result.exit_code == 0, result.output
    assert "Accepted, or released: network:c (-o json)." in result.stdout
    [told] = json.loads(run("drift", "-o", "json").stdout)["accepted"]
    assert "alice released" in told["reason"]
    assert "Accepted" not in run("drift", "network", "a").stdout


def test_projects_that_were_not_compared_are_told(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    swept(written, reason="Heat is away")
    assert "Project t1 was not compared: Heat is away" in run("drift").stdout

    written.store.delete(written.keys.sweep("t1"))
    assert "Not compared yet: projects t1." in run("drift").stdout


def test_programs_get_every_difference(run: Run_, written: Records, two: list[Ref]) -> None:
    drifted(written, two[0], STATUS)
    drifted(written, two[1], STATUS, accepted=True)
    document = json.loads(run("drift", "-o", "json").stdout)

    assert [one["id"] for one in document["drifted"]] == ["a"]
    assert document["drifted"][0]["deviations"] == [STATUS.to_record()]
    assert [one["id"] for one in document["accepted"]] == ["b"]
    assert document["sweeps"][0]["stacks"] == 2


def test_what_was_found_before_our_last_operation_is_not_told(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    drifted(written, two[0], STATUS, job=JobId("create:heat_worker:network:a:0:aaaaa"))

    assert run("drift").exit_code == 0


def test_get_and_status_show_drift(run: Run_, written: Records, two: list[Ref]) -> None:
    written.lead()
    drifted(written, two[0], STATUS)
    status = run("status")

    wide = run("get", "-o", "wide").stdout
    assert "DIFFERS" in wide and "drifted: status: " in wide
    assert "has drifted: Heat has the stack" in run("get", "network", "a").stdout
    assert "Drifted: Heat differs from what was built" in status.stdout
    assert status.exit_code == 0, "the version is built; drift alone is no failure"
    document = json.loads(run("status", "-o", "json").stdout)
    assert [one["id"] for one in document["drifted"]] == ["a"]


def test_a_lost_stack_is_not_complete(run: Run_, written: Records, two: list[Ref]) -> None:
    written.lead()
    drifted(written, two[0], LOST)
    status = run("status")

    assert status.exit_code == 1
    assert "Lost: somebody has deleted the stacks" in status.stdout
    assert "1 complete, 1 lost" in status.stdout
    assert run("wait", "network", "a").exit_code == 1
    assert "orchestrator drift network a correct" in run("get", "network", "a").stdout


def test_one_resource_is_judged_by_its_own_records(memory: Records) -> None:
    ref = Ref("network", "a")
    at = memory.config(ref)
    memory.report(ref)
    memory.handle(ref, 1, at, body={"id": "a", "tenant_id": "t1"})
    drifted(memory, ref, LOST)

    one = Progress(read_one(memory.store, memory.keys, ref)).of(ref)
    everything = read_all(memory.store, memory.keys)
    assert one.phase is Phase.LOST
    assert overview(everything).phases == {Phase.LOST: 1}
    assert [found.drift and found.drift["kinds"] for found in resources(everything)] == [["lost"]]


# A person decides ---------------------------------------------------------------------------------


def test_accepted_drift_is_not_told_any_more(run: Run_, written: Records, two: list[Ref]) -> None:
    drifted(written, two[0], STATUS)
    result = run("drift", "network", "a", "accept")

    assert result.exit_code == 0, result.output
    assert run("drift").exit_code == 0
    assert "status (accepted)" in run("get", "-o", "wide").stdout


def test_a_lost_stack_cannot_be_accepted(run: Run_, written: Records, two: list[Ref]) -> None:
    drifted(written, two[0], LOST)
    drifted(written, two[1], STATUS)
    result = run("drift", "accept")

    assert result.exit_code == 2
    assert "network:a is lost, which cannot be accepted" in result.stderr
    assert run("drift", "network", "b").exit_code == 1, "nothing was accepted"


def test_correct_asks_for_the_version_that_is_there(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    drifted(written, two[0], LOST)
    drifted(written, Ref("network", "z"), Deviation(DriftKind.UNKNOWN))
    result = run("drift", "correct")

    assert result.exit_code == 1
    assert "will be rebuilt" in result.stdout
    assert "left: is not in the configuration" in result.stdout
    [asked] = written.store.list(written.keys.retries)[1]
    assert asked.key == written.keys.below(written.keys.retries, two[0])
    assert RetryAsked.from_json(asked.value).rebuild == "j"


@pytest.mark.parametrize("verb", Verb)
def test_where_nothing_differs_nothing_can_be_decided(
    run: Run_, written: Records, two: list[Ref], verb: Verb
) -> None:
    result = run("drift", "network", verb.value)

    assert result.exit_code == 2
    assert "nothing differs" in result.stderr


def test_too_many_words_are_refused(run: Run_, written: Records) -> None:
    assert run("drift", "network", "a", "b").exit_code == 2


# Comparing now ------------------------------------------------------------------------------------


@contextmanager
def worker(written: Records) -> Iterator[list[SweepAsked]]:
    """Removes requests, as a worker does when it has compared."""
    seen: list[SweepAsked] = []
    revision, _ = written.store.list(written.keys.sweeps_asked)
    watch = written.store.watch([written.keys.sweeps_asked], revision + 1)

    def answer() -> None:
        for events in watch:
            for event in events:
                if event.value is not None:
                    seen.append(SweepAsked.from_json(event.value))
                    written.store.delete(event.key)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        watch.close()
        thread.join(5.0)


def test_a_comparison_is_asked_of_the_leader_and_waited_for(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    written.lead()
    with worker(written) as seen:
        assert run("drift", "--now").exit_code == 0
        assert run("drift", "--deep", "network", "a").exit_code == 0

    assert seen == [
        SweepAsked("t1", Depth.LISTS),
        SweepAsked("t1", Depth.OUTPUTS, (two[0],)),
    ]


def test_a_comparison_that_nobody_makes_is_told(
    run: Run_, written: Records, two: list[Ref]
) -> None:
    result = run("drift", "--now", "--timeout", "0.2")

    assert result.exit_code == 4
    assert "not compared within 0.2 s: the stacks of 1 project" in result.stderr
    assert "No bridge leads" in result.stderr


def test_where_there_is_no_stack_nothing_can_be_compared(run: Run_, written: Records) -> None:
    result = run("drift", "--now")

    assert result.exit_code == 2
    assert "there is no stack to compare" in result.stderr
