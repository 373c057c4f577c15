"""Where a resource stands, from nothing but what is in etcd; and what waiting makes of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from orchestrator.cli import status, status_document, waiting
from orchestrator.cli.exits import Exit
from orchestrator.cli.output import Section
from orchestrator.cli.retrying import choose, in_progress, tell_in_progress
from orchestrator.cli.verbs.selecting import Selector
from orchestrator.core.jobs import Action
from orchestrator.core.records import Cause, Failed, Poll, Run, Step
from orchestrator.core.refs import Ref
from orchestrator.errors import InvalidInput
from orchestrator.views.jobs import Stage
from orchestrator.views.outlook import Goal, outlook, until
from orchestrator.views.overview import Overview, overview
from orchestrator.views.reading import read_all, read_some
from orchestrator.views.standings import Phase, Progress, Standing

from .conftest import Records

NET, SUB, PORT = Ref("network", "n"), Ref("subnet", "s"), Ref("port", "p")
TEMPLATE = Ref("heat_template", "port")
GOOD_TEMPLATE = "heat_template_version: 2018-08-31"


def standing(memory: Records, ref: Ref) -> Standing:
    """Where a resource stands: the same, whether everything is read or only what it needs."""
    found = Progress(read_all(memory.store, memory.keys)).of(ref)
    assert Progress(read_some(memory.store, memory.keys, [ref])).of(ref) == found
    return found


def overview_of(memory: Records) -> Overview:
    return overview(read_all(memory.store, memory.keys))


def complete(m: Records) -> None:
    m.config(PORT)
    m.report(PORT)


def marked(m: Records) -> None:
    m.config(PORT, 2, marked=True)
    m.report(PORT, 2, Action.DELETE)


def failed(m: Records) -> None:
    m.config(PORT)
    m.report(PORT, error="no")


def newer(m: Records) -> None:
    complete(m)
    m.config(PORT, 2)


def recreated(m: Records) -> None:
    complete(m)
    m.store.delete(m.keys.below(m.keys.config, PORT))
    m.config(PORT)


def in_heat(m: Records) -> None:
    newer(m)
    m.job(PORT, action=Action.MODIFY, run=Run(Step.IN_HEAT))


def queued(m: Records) -> None:
    m.config(PORT)
    m.job(PORT, m.job(NET))


def orphan(m: Records) -> None:
    complete(m)
    m.store.delete(m.keys.below(m.keys.config, PORT))


def stale(m: Records) -> None:
    m.handle(PORT, version=3, incarnation=m.config(PORT, 3))
    m.config(PORT, 2)


def held(m: Records) -> None:
    m.config(PORT)
    m.hold(PORT, NET)


def held_by_what_came(m: Records) -> None:
    held(m)
    m.config(NET)


def held_deletion(m: Records) -> None:
    m.config(PORT, 2, marked=True)
    m.hold(PORT, SUB, 2)


def held_in_a_circle(m: Records) -> None:
    held_by_what_came(m)
    m.hold(NET, PORT)


@pytest.mark.parametrize(
    ("write", "phase", "moving"),
    [
        pytest.param(lambda m: m.config(PORT), Phase.PENDING, True, id="nobody has looked"),
        pytest.param(complete, Phase.COMPLETE, False, id="its version is reported"),
        pytest.param(newer, Phase.PENDING, True, id="an older version is reported"),
        pytest.param(
            recreated, Phase.PENDING, True, id="the report is about an earlier resource of this id"
        ),
        pytest.param(in_heat, Phase.RUNNING, True, id="a job is in Heat"),
        pytest.param(queued, Phase.WAITING, True, id="a job waits for another"),
        pytest.param(failed, Phase.FAILED, False, id="reported with an error"),
        pytest.param(marked, Phase.DELETED, False, id="marked and gone"),
        pytest.param(orphan, Phase.PENDING, True, id="the config is gone, the stack is not"),
        pytest.param(stale, Phase.STALE, False, id="an older version was written"),
        pytest.param(held, Phase.HELD, False, id="held back by what nobody wants"),
        pytest.param(held_by_what_came, Phase.HELD, True, id="held back by what has come"),
        pytest.param(held_deletion, Phase.HELD, True, id="a deletion waits only so long"),
        pytest.param(held_in_a_circle, Phase.HELD, False, id="held back by itself in the end"),
    ],
)
def test_where_a_resource_stands(
    memory: Records, write: Callable[[Records], object], phase: Phase, moving: bool
) -> None:
    write(memory)

    found = standing(memory, PORT)

    assert (found.phase, found.moving) == (phase, moving)


def test_a_failure_whose_cause_was_repaired_since_is_not_the_last_word(memory: Records) -> None:
    memory.config(NET)
    memory.config(PORT)
    memory.report(NET, error="no")
    memory.report(PORT, error="because of it", root=NET)
    assert standing(memory, PORT) == Standing(PORT, Phase.FAILED, "because of it", 1, root=NET)

    memory.config(NET, 2)
    memory.report(NET, 2, Action.MODIFY)

    assert standing(memory, PORT).phase is Phase.PENDING


def test_a_cause_that_was_fine_already_is_no_cure(memory: Records) -> None:
    """The network has been built, without the output that the port needs: nobody tries the port again."""
    memory.config(NET)
    memory.report(NET)
    memory.config(PORT)
    memory.report(PORT, error="needs output 'id'", root=NET)

    assert standing(memory, PORT).phase is Phase.FAILED


def test_a_template_that_can_be_used_again_repairs_too(memory: Records) -> None:
    memory.config(TEMPLATE, template_file="x", parameter_mappings={"a": "X"})
    memory.config(PORT)
    memory.report(PORT, error="bad", root=TEMPLATE)
    assert standing(memory, PORT).phase is Phase.FAILED

    memory.config(TEMPLATE, 2, template_file=GOOD_TEMPLATE, parameter_mappings={})

    assert standing(memory, PORT).phase is Phase.PENDING


def test_a_job_waits_for_what_stands_in_for_a_replaced_one(memory: Records) -> None:
    memory.config(NET)
    memory.config(PORT)
    old, new = memory.job(NET, suffix="old00"), memory.job(NET, suffix="new00")
    memory.job(PORT, old)
    memory.end(old)
    memory.handle(NET, version=1, incarnation=1, replaced={old: new})

    (view,) = overview_of(memory).waiting

    assert (view.job.ref, view.stage, view.waits_for) == (PORT, Stage.WAITING, (new,))


# Status ----------------------------------------------------------------------------------------------


def test_failures_are_grouped_by_their_cause(memory: Records) -> None:
    for ref in (NET, SUB, PORT):
        memory.config(ref)
    memory.report(NET, error="quota")
    memory.report(SUB, error="because", root=NET)
    memory.report(PORT, error="because", root=NET)

    (failure,) = overview_of(memory).failures

    assert (failure.root, failure.error) == (NET, "quota")
    assert [other.ref for other in failure.others] == [PORT, SUB]


def test_status_as_a_document_has_every_key_even_when_there_is_nothing(memory: Records) -> None:
    assert status_document.as_document(overview_of(memory), now=0.0) == {
        "revision": 1,
        "leader": None,
        "schemas": None,
        "schemas_trouble": None,
        "stopped": "",
        "bridges": [],
        "workers": [],
        "message_wait": 0.0,
        "alarms": ["No bridge leads: nothing happens before `orchestrator bridge` runs."],
        "paused": [],
        "drifted": [],
        "lost": [],
        "resources": {phase.value: 0 for phase in Phase},
        "overdue": [],
        "delayed_tenants": [],
        "running": [],
        "waiting": [],
        "pending": [],
        "held": [],
        "failed": [],
        "causes": [],
        "stale": [],
        "unconfirmed": [],
        "broken": [],
        "outdated": [],
        "deleted": [],
        "trouble": [],
        "rewritten": [],
        "rejected": [],
    }


def test_a_job_tells_how_long_it_has_been_where_it_is(memory: Records) -> None:
    memory.config(NET)
    memory.config(PORT)
    memory.job(NET, run=Run(Step.IN_HEAT, stack="s", asked_at=100.0, timeout_mins=3))
    memory.job(PORT, run=Run(Step.RETRY, attempt=2, delay=4.25, reason="Heat is away"))

    found = overview_of(memory)
    [running] = [
        part
        for part in status.render(found, now=165.0)
        if isinstance(part, Section) and part.title == "Running"
    ]

    assert [tuple(map(str, row)) for row in running.rows] == [
        ("network:n", "create", "v1", "in Heat for 1 min 5 s", "at most 3 minutes"),
        ("port:p", "create", "v1", "attempt 3 in 4.2 s", "Heat is away"),
    ]


FAILING = Run(
    Step.RETRY,
    failures=2,
    retry=2,
    retries=3,
    delay=20.0,
    due=33912.0,
    reason="Heat ended in CREATE_FAILED: no host",
    cause=Cause.FAILED.value,
)


def test_a_job_that_heat_failed_tells_when_it_is_tried_again_and_how_often(
    memory: Records,
) -> None:
    memory.config(NET)
    job = memory.job(NET, run=FAILING)
    counted = Failed(1, Action.CREATE, FAILING.reason, NET, job=job, tries=2)
    memory.put(memory.keys.failed, NET, counted.to_json())
    told = "will be tried again at 09:25:12 UTC (2 of 3)"

    found = overview_of(memory)
    running = next(part for part in status.render(found, now=33900.0) if isinstance(part, Section))
    assert list(map(str, running.rows[0]))[3:] == [told, FAILING.reason]
    assert standing(memory, NET).reason == f"{told}: {FAILING.reason}"
    assert standing(memory, NET).moving
    (document,) = status_document.as_document(found, now=33900.0)["running"]
    assert (document["retry"], document["retries"], document["retry_after"]) == (2, 3, 12.0)
    assert (found.failures, status.exit_of(found)) == ((), Exit.OK)


def test_what_heat_failed_can_be_tried_by_hand_only_while_it_waits(memory: Records) -> None:
    memory.config(NET)
    job = memory.job(NET, run=FAILING)
    counted = Failed(1, Action.CREATE, FAILING.reason, NET, job=job, tries=2)
    memory.put(memory.keys.failed, NET, counted.to_json())
    for meant in (Selector(ref=NET), Selector(kind="network"), Selector(everything=True)):
        assert choose(read_all(memory.store, memory.keys), meant) == [NET]

    taken = Run(Step.IN_HEAT, failures=2, retry=2, retries=3)
    memory.store.put(memory.keys.run("t1", job), taken.to_json())
    assert choose(read_all(memory.store, memory.keys), Selector(everything=True)) == []
    with pytest.raises(InvalidInput, match="A retry changes nothing"):
        choose(read_all(memory.store, memory.keys), Selector(ref=NET))


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        pytest.param(lambda m: None, Exit.OK, id="nothing wanted"),
        pytest.param(in_heat, Exit.OK, id="in progress"),
        pytest.param(held_by_what_came, Exit.OK, id="held back for a moment"),
        pytest.param(held, Exit.PROBLEM, id="held back"),
        pytest.param(failed, Exit.PROBLEM, id="failed"),
        pytest.param(stale, Exit.PROBLEM, id="ignored"),
        pytest.param(
            lambda m: m.store.put("/config/v2.0/ports/x", "{"), Exit.PROBLEM, id="rejected"
        ),
    ],
)
def test_the_exit_code_of_status(
    memory: Records, write: Callable[[Records], object], expected: Exit
) -> None:
    memory.lead()
    write(memory)

    assert status.exit_of(overview_of(memory)) is expected


# Waiting -----------------------------------------------------------------------------------------------


def test_what_is_in_heat_is_in_trouble_while_the_polls_of_its_project_are_refused(
    memory: Records,
) -> None:
    memory.config(NET)
    memory.job(NET, run=Run(Step.IN_HEAT, stack="s"))
    assert standing(memory, NET).phase is Phase.RUNNING

    refused = Poll(failures=3, cause=Cause.PROJECT.value, reason="no role", since=5.0)
    memory.store.put(memory.keys.poll("t1"), refused.to_json())

    found = standing(memory, NET)
    assert (found.phase, found.since) == (Phase.TROUBLE, 5.0)
    assert found.reason == "the stacks in progress of project t1 cannot be polled: no role"
    with pytest.raises(InvalidInput, match="is under way"):
        choose(read_all(memory.store, memory.keys), Selector(ref=NET))


def test_a_retry_says_what_will_happen_to_a_stack_that_heat_has_in_progress(
    memory: Records,
) -> None:
    memory.config(NET)
    memory.job(NET, run=Run(Step.IN_HEAT, stack="s"))
    with pytest.raises(
        InvalidInput, match="A retry changes nothing: the version is reported when Heat ends"
    ):
        choose(read_all(memory.store, memory.keys), Selector(ref=NET))

    record = {
        "stack_id": "network_n",
        "tenant_id": "t1",
        "stack_status": "CREATE_IN_PROGRESS",
        "output": [],
    }
    memory.store.put(
        memory.keys.below(memory.keys.stacks, NET), json.dumps({**record, "status_reason": ""})
    )
    stuck = in_progress(read_all(memory.store, memory.keys), [NET])
    assert "network:n in CREATE_IN_PROGRESS. The next try waits" in tell_in_progress(stuck)
    assert tell_in_progress({}) == ""


def test_waiting_ends_with_the_change_and_not_with_a_poll(memory: Records) -> None:
    memory.config(PORT)
    seen = threading.Event()
    threading.Thread(target=lambda: (seen.wait(5), memory.report(PORT))).start()

    found = until(memory.store, memory.keys, Goal([PORT]), 10, lambda *_: seen.set())

    assert [good.ref for good in found.good] == [PORT]
    assert waiting.exit_of(found) is Exit.OK
    assert found.seconds < 5


def test_a_picture_between_two_writes_does_not_end_the_waiting(memory: Records) -> None:
    """The watch of the jobs was faster than the watch of the states: the failure of before is still there."""
    memory.config(PORT)
    memory.report(PORT, error="the first time")
    job = memory.job(PORT)
    loaded = read_all(memory.store, memory.keys)
    memory.report(PORT)
    memory.end(job)
    loaded.remove(memory.keys.job(job))
    assert outlook(loaded, Goal()).bad  # what the watch alone would make of it

    assert waiting.exit_of(until(memory.store, memory.keys, Goal(), 5)) is Exit.OK


def test_time_runs_out(memory: Records) -> None:
    memory.config(PORT)

    found = until(memory.store, memory.keys, Goal(), 0.05)

    assert ([left.ref for left in found.moving], waiting.exit_of(found)) == ([PORT], Exit.TIMEOUT)


def test_waiting_for_one_type_looks_at_no_other(memory: Records) -> None:
    memory.config(NET)
    complete(memory)

    assert waiting.exit_of(until(memory.store, memory.keys, Goal(kind="port"), 0.05)) is Exit.OK


def test_what_is_to_be_gone_is_waited_for_until_nothing_is_left(memory: Records) -> None:
    orphan(memory)
    found = until(memory.store, memory.keys, Goal([PORT], gone=True), 0.05)
    assert waiting.exit_of(found) is Exit.TIMEOUT

    for folder in (memory.keys.state, memory.keys.stacks):
        memory.store.delete(memory.keys.below(folder, PORT))

    assert (
        waiting.exit_of(until(memory.store, memory.keys, Goal([PORT], gone=True), 0.05)) is Exit.OK
    )
