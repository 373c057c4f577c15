"""One decision for one resource: what is known, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from orchestrator.core.facts import ConfigRemoved, ConfigWritten, RunMoved
from orchestrator.core.graph import JobGraph
from orchestrator.core.jobs import Action, Job, Param
from orchestrator.core.mapping import Constant
from orchestrator.core.mapping.evaluate import ListOf, OutputOf
from orchestrator.core.planning import (
    Clean,
    Decision,
    First,
    Hold,
    Nothing,
    Over,
    Refuse,
    Report,
    Start,
    decide,
    fails_with,
)
from orchestrator.core.records import Cause, Failed, Handled, Held, Run, Step
from orchestrator.core.refs import Json, Ref
from orchestrator.core.resources import Wanted
from orchestrator.core.schemas import Origin, ResourceType, Schemas
from orchestrator.core.templates import BadTemplate
from orchestrator.core.world import Reported, Stack, World

from tests import factories
from tests.factories import (
    as_handled,
    deleted,
    job,
    live,
    network,
    node,
    port,
    server,
    wanted,
    world,
)

N1, P1, S1 = network(), port(), server()
A, B, C = map(node, "abc")
PLAN = Ref("plan", "big")
IMAGE = Ref("image", "i1")


def put(known: World, config: Wanted) -> None:
    """A config is written; it is what the next decision is about."""
    known.apply(ConfigWritten(config))
    known.decided(config.ref)


def gone(known: World, ref: Ref) -> None:
    """The same of a config that is removed."""
    known.apply(ConfigRemoved(ref, 0))
    known.decided(ref)


def decision(
    known: World, ref: Ref = N1, path: tuple[Ref, ...] = (), *, patient: bool = True
) -> Decision:
    return decide(known, ref, lambda: "xxxxx", path, patient=patient)


def job_of(found: Decision) -> Job:
    assert isinstance(found, Start), found
    return found.job


def held_of(found: Decision) -> Held:
    assert isinstance(found, Hold), found
    return found.held


def failed_of(found: Decision) -> Failed:
    assert isinstance(found, Refuse), found
    return found.failed


# A change becomes a job ----------------------------------------------------------------------------


def test_a_new_resource_is_created() -> None:
    config = wanted(N1)
    found = decision(world(config))

    assert job_of(found) == Job(
        id=factories.job(N1, suffix="xxxxx").id,
        ref=N1,
        action=Action.CREATE,
        version=1,
        params=(Param("heat_timeout", "3"), Param("name", "n1")),
        dependency=(),
        body=config.body,
    )
    assert isinstance(found, Start)
    assert (found.wanted, found.handled.version, found.handled.incarnation, found.handled.job) == (
        config,
        1,
        10,
        found.job.id,
    )
    assert (found.handled.template, found.handled.tenant, found.handled.references) == (
        "network",
        "t1",
        {},
    )


def handled_as(ref: Ref, version: int = 1, **properties: Json) -> Handled:
    """What is remembered of a version that became a job."""
    config = wanted(ref, version, **properties)
    return replace(
        factories.handled(ref, version, **properties),
        digest=config.digest(),
        revision=config.revision,
    )


DELETED = factories.handled(N1, of="logical_delete:heat_worker:network:n1:2:zzzzz")

LEVELS: list[Any] = [
    pytest.param(lambda: world(wanted(N1)), Start, id="new"),
    pytest.param(lambda: world(built=[wanted(N1)]), Nothing, id="the same version again"),
    pytest.param(
        lambda: world(wanted(N1, 1), handled={N1: factories.handled(N1, 2)}, stacks={N1: live()}),
        Nothing,
        id="a stale version",
    ),
    pytest.param(
        lambda: world(wanted(N1, 2), handled={N1: factories.handled(N1, 1)}, stacks={N1: live()}),
        Start,
        id="a newer version",
    ),
    pytest.param(
        lambda: world(built=[wanted(N1)], again=[N1]),
        Start,
        id="the same version, to be tried again",
    ),
    pytest.param(
        lambda: world(wanted(N1), handled={N1: factories.handled(N1)}, jobs=[job(N1)]),
        Nothing,
        id="its job is under way",
    ),
    pytest.param(lambda: world(), Nothing, id="never heard of"),
    pytest.param(
        lambda: world(handled={N1: DELETED}, stacks={N1: deleted()}),
        Clean,
        id="gone, and so is the stack",
    ),
    pytest.param(
        lambda: world(handled={N1: factories.handled(N1)}),
        Start,
        id="gone, and Heat may have taken its job",
    ),
    pytest.param(
        lambda: world(handled={N1: factories.handled(N1)}, stacks={N1: deleted()}),
        Start,
        id="gone, deleted and sent once more",
    ),
    pytest.param(
        lambda: world(wanted(N1, revision=99), handled={N1: handled_as(N1)}, stacks={N1: live()}),
        Nothing,
        id="a resync",
    ),
    pytest.param(
        lambda: world(wanted(N1, revision=99, name="x"), handled={N1: handled_as(N1)}),
        Start,
        id="the same, another body",
    ),
    pytest.param(
        lambda: world(wanted(N1, revision=99, marked=True), handled={N1: handled_as(N1)}),
        Start,
        id="the same, marked",
    ),
    pytest.param(
        lambda: world(wanted(N1, 0, name="x"), handled={N1: handled_as(N1, 5)}),
        Start,
        id="unversioned, another body",
    ),
    pytest.param(
        lambda: world(wanted(N1, 0), handled={N1: handled_as(N1, 5)}),
        Nothing,
        id="unversioned, the same body",
    ),
    pytest.param(
        lambda: world(wanted(N1, 1, name="x"), handled={N1: handled_as(N1, 0)}),
        Start,
        id="versioned after unversioned",
    ),
    pytest.param(
        lambda: world(wanted(N1, 1), handled={N1: handled_as(N1, 3)}, again=[N1]),
        Start,
        id="stale, asked for",
    ),
    pytest.param(
        lambda: world(wanted(N1, tenant_id="t2"), handled={N1: handled_as(N1, 3)}),
        Nothing,
        id="stale, elsewhere",
    ),
    pytest.param(lambda: world(stacks={N1: deleted()}), Clean, id="gone, its stack deleted"),
    pytest.param(lambda: world(reported={N1: Reported(1, 5)}), Clean, id="gone, a state is left"),
    pytest.param(
        lambda: world(held={N1: Held(1, P1, "x")}), Clean, id="gone while it was held back"
    ),
    pytest.param(lambda: world(stacks={N1: live()}), Start, id="gone, its stack is there"),
    pytest.param(
        lambda: world(stacks={N1: live()}, jobs=[job(N1, Action.DELETE)]),
        Nothing,
        id="gone, and being deleted",
    ),
]


@pytest.mark.parametrize(("known", "kind"), LEVELS)
def test_the_level_decides(known: Callable[[], World], kind: type) -> None:
    assert isinstance(decision(known()), kind)


ACTIONS: list[Any] = [
    pytest.param(lambda: world(wanted(N1)), Action.CREATE, id="no stack record"),
    pytest.param(
        lambda: world(wanted(N1, 2), stacks={N1: live()}), Action.MODIFY, id="a stack record"
    ),
    pytest.param(
        lambda: world(wanted(N1, 2), stacks={N1: live("CREATE_FAILED")}),
        Action.MODIFY,
        id="of a failed stack",
    ),
    pytest.param(
        lambda: world(wanted(N1, 2), stacks={N1: deleted()}), Action.CREATE, id="of a deleted stack"
    ),
    pytest.param(
        lambda: world(wanted(N1, 2, marked=True), stacks={N1: live()}), Action.DELETE, id="marked"
    ),
    pytest.param(lambda: world(stacks={N1: live()}), Action.DELETE, id="gone"),
]


@pytest.mark.parametrize(("known", "action"), ACTIONS)
def test_the_stack_record_decides_the_action(known: Callable[[], World], action: Action) -> None:
    assert job_of(decision(known())).action is action


def test_a_recreated_id_with_a_stack_is_deleted_first_as_what_it_was() -> None:
    anew = wanted(N1, 1, incarnation=50, name="new")
    found = decision(
        world(anew, stacks={N1: live()}, handled={N1: factories.handled(N1, 4, name="old")})
    )

    assert (job_of(found).action, job_of(found).version, job_of(found).body["name"]) == (
        Action.DELETE,
        4,
        "old",
    )
    assert isinstance(found, Start)
    assert (found.wanted, found.handled.incarnation) == (anew, 10)


def test_a_recreated_id_whose_stack_is_certainly_gone_is_created() -> None:
    known = world(wanted(N1, 1, incarnation=50), stacks={N1: deleted()}, handled={N1: DELETED})

    assert (job_of(decision(known)).action, job_of(decision(known)).version) == (Action.CREATE, 1)


# Params and dependencies ---------------------------------------------------------------------------


# Another tenant, another name ------------------------------------------------------------------------


def in_tenant(tenant: str) -> Stack:
    return Stack("CREATE_COMPLETE", tenant)


def test_another_tenant_deletes_the_stack_in_the_old_one_first() -> None:
    moved = wanted(N1, 2, tenant_id="t2", name="new")
    known = world(moved, handled={N1: handled_as(N1, name="old")}, stacks={N1: in_tenant("t1")})
    found = decision(known)

    assert isinstance(found, Start) and found.first_of_two
    assert (found.job.action, found.job.version, found.job.tenant, found.job.body["name"]) == (
        Action.DELETE,
        1,
        "t1",
        "old",
    )
    assert found.job.id in found.handled.outlived, (
        "its end is not the state of the version that is there"
    )


def test_after_the_deletion_in_the_old_tenant_the_resource_is_created_in_the_new_one() -> None:
    moved = wanted(N1, 2, tenant_id="t2")
    known = world(moved, handled={N1: handled_as(N1)}, stacks={N1: in_tenant("t1")})
    first = decision(known)
    assert isinstance(first, Start)
    known.graph.add(first.job)
    known.set_handled(N1, first.handled)
    second = decision(known)

    assert isinstance(second, Start) and not second.first_of_two
    assert (second.job.action, second.job.version, second.job.tenant) == (Action.CREATE, 2, "t2")
    assert second.job.dependency == (first.job.id,)
    assert first.job.id in second.handled.outlived


def test_what_is_built_from_a_resource_that_moves_waits_for_it() -> None:
    moved = wanted(N1, 2, tenant_id="t2")
    known = world(
        moved,
        wanted(P1, network_id="n1"),
        handled={N1: handled_as(N1)},
        stacks={N1: in_tenant("t1")},
    )

    assert held_of(decision(known, P1)) == Held(
        1, N1, "waits for network:n1, which is being replaced"
    )


def test_a_refused_version_does_not_move_a_resource() -> None:
    """The stack stays where it is, and is found there when it is deleted."""
    refused = wanted(N1, 2, tenant_id="t1/../t2")
    known = world(refused, handled={N1: handled_as(N1)}, stacks={N1: in_tenant("t1")})
    found = decision(known)

    assert isinstance(found, Refuse)
    assert found.failed.error.startswith(
        "tenant_id should be the id of an OpenStack project, not a path"
    )
    assert (found.handled.tenant, found.handled.sent) == ("t1", handled_as(N1).job)
    gone(known, N1)
    known.set_handled(N1, found.handled)
    assert (job_of(decision(known)).action, job_of(decision(known)).tenant) == (Action.DELETE, "t1")


def test_a_second_resource_with_the_same_stack_name_is_refused_by_name() -> None:
    types = Schemas([ResourceType(kind, kind, Constant("network")) for kind in ("node", "node_b")])
    one, two = Ref("node", "b_x"), Ref("node_b", "x")
    known = world(
        wanted(one),
        wanted(two),
        handled={one: handled_as(one)},
        stacks={one: in_tenant("t1")},
        types=types,
    )
    elsewhere = world(
        wanted(one),
        wanted(two),
        handled={one: handled_as(one)},
        stacks={one: in_tenant("t2")},
        types=types,
    )

    assert failed_of(decision(known, two)).root == one
    assert failed_of(decision(known, two)).error.startswith(
        "its stack would be named node_b_x, as that of node:b_x is"
    )
    assert isinstance(decision(elsewhere, two), Start)


def test_a_stale_version_leaves_to_others_what_was_built_last() -> None:
    known = world(
        wanted(PLAN, 1, flavor="old"),
        wanted(S1, plan_id="big", ports=[]),
        handled={PLAN: handled_as(PLAN, 2, flavor="new")},
        stacks={PLAN: live()},
    )
    assert job_of(decision(known, S1)).params[0].value == "new"


def test_the_same_version_with_another_body_is_marked_as_rewritten() -> None:
    known = world(
        wanted(N1, 3, revision=99, name="b"),
        handled={N1: handled_as(N1, 3, name="a")},
        stacks={N1: live()},
    )
    found = decision(known)
    assert isinstance(found, Start)
    assert (found.job.version, found.handled.rewritten) == (3, True)


def test_params_are_in_the_order_of_the_mappings_with_their_references() -> None:
    known = world(
        wanted(S1, plan_id="big", ports=["p1"]),
        wanted(PLAN, flavor="m1"),
        built=[wanted(N1), wanted(P1, network_id="n1")],
    )

    assert job_of(decision(known, S1)).params == (
        Param("flavor", "m1", (PLAN,)),
        Param("ports", ListOf((OutputOf(P1, "id"),)), (P1,)),
    )


def test_a_modify_lists_the_earlier_references_first() -> None:
    known = world(built=[wanted(N1), wanted(network("n2")), wanted(P1, network_id="n1")])
    put(known, wanted(P1, 2, network_id="n2"))
    found = decision(known, P1)

    assert job_of(found).params[1] == Param(
        "network", OutputOf(network("n2"), "id"), (N1, network("n2"))
    )
    assert isinstance(found, Start)
    assert found.handled.references == {"network": (network("n2"),)}


def test_a_deletion_of_what_is_gone_tells_its_references_once() -> None:
    known = world(built=[wanted(N1), wanted(P1, network_id="n1")])
    gone(known, P1)

    assert job_of(decision(known, P1)).references() == {N1}
    assert [param.references for param in job_of(decision(known, P1)).params] == [(), (N1,)]


UNFINISHED: list[Any] = [
    pytest.param([], [], id="nothing"),
    pytest.param([job(P1, suffix="earli")], ["earli"], id="a job on the resource itself"),
    pytest.param([job(N1, suffix="ofref")], ["ofref"], id="a job on what it refers to"),
    pytest.param(
        [job(S1, suffix="users", refers_to=[P1])], ["users"], id="a job that refers to it"
    ),
    pytest.param(
        [job(S1, suffix="other", refers_to=[N1])], [], id="a job that refers to the same as it"
    ),
    pytest.param([job(network("n2"), suffix="other")], [], id="a job on something else"),
    pytest.param(
        [
            job(N1, suffix="ofref"),
            job(S1, suffix="users", refers_to=[P1]),
            job(P1, suffix="earli"),
            job(network("n2")),
        ],
        ["earli", "ofref", "users"],
        id="all three",
    ),
    pytest.param(
        [job(P1, suffix="first", refers_to=[N1]), job(N1, suffix="secon")],
        ["first", "secon"],
        id="each once",
    ),
]


@pytest.mark.parametrize(("jobs", "dependency"), UNFINISHED)
def test_a_job_depends_on_the_unfinished_ones_of_the_contracts_rule(
    jobs: list[Job], dependency: list[str]
) -> None:
    """``port p1`` refers to ``network n1``; every unfinished job has been claimed, so none is superseded."""
    known = world(wanted(P1, 2, network_id="n1"), built=[wanted(N1)], jobs=jobs)
    for one in jobs:
        known.apply(RunMoved(one.id, one.tenant, Run(Step.CLAIMED, asked=True), 0))

    assert (
        sorted(d.rpartition(":")[2] for d in job_of(decision(known, P1)).dependency) == dependency
    )


@pytest.mark.parametrize(
    ("asked", "cause", "corrected"),
    [
        (True, Cause.BUSY, False),
        (True, Cause.PROJECT, False),
        (False, Cause.UNAVAILABLE, False),
        (False, Cause.PROJECT, True),
        (False, Cause.FAULT, True),
    ],
)
def test_a_job_in_retry_keeps_its_place_unless_the_next_version_may_correct_it(
    asked: bool, cause: Cause, corrected: bool
) -> None:
    """``port p1`` waits for its next try, and ``network n1`` for that. The next version of the port was
    written after that of the network, so it comes after it; unless Heat never took the port's, and not by an outage."""
    stuck = job(P1, suffix="stuck", refers_to=[N1])
    change = job(N1, version=2, suffix="chang", waits_for=[stuck])
    known = world(wanted(P1, 2, network_id="n1"), built=[wanted(N1)], jobs=[stuck, change])
    known.apply(RunMoved(stuck.id, stuck.tenant, Run(Step.RETRY, asked=asked, cause=cause), 7))
    made = decision(known, P1)

    assert isinstance(made, Start)
    assert made.superseded == ((stuck,) if corrected else ())
    assert set(made.job.dependency) == (set() if corrected else {stuck.id, change.id})


def test_a_deletion_waits_for_dependents_that_wait_for_a_job_in_an_outage() -> None:
    """The circuit of a tenant is open. Seed 51 of the chaos run deleted a network before its port."""
    stuck = job(N1, Action.MODIFY, version=2, suffix="stuck")
    leaves = job(P1, Action.DELETE, suffix="leave", refers_to=[N1], waits_for=[stuck])
    known = world(
        wanted(N1, 3, marked=True),
        stacks={N1: live()},
        built=[wanted(P1, network_id="n1")],
        jobs=[stuck, leaves],
    )
    run = Run(Step.RETRY, asked=False, cause=Cause.UNAVAILABLE)
    known.apply(RunMoved(stuck.id, stuck.tenant, run, 7))
    made = decision(known, N1)

    assert isinstance(made, Start)
    assert made.superseded == ()
    assert set(made.job.dependency) == {stuck.id, leaves.id}


def test_a_job_that_dependents_wait_for_is_not_reported_for_the_next_incarnation() -> None:
    """It goes on, in an outage, so that they can leave. Seed 81 of the chaos run reported it as the new one's."""
    stuck = job(N1, Action.MODIFY, version=2, suffix="stuck")
    leaves = job(P1, Action.DELETE, suffix="leave", refers_to=[N1], waits_for=[stuck])
    gone = job(N1, Action.DELETE, version=2, suffix="gone", waits_for=[stuck, leaves])
    known = world(
        wanted(N1, 1, incarnation=90),
        stacks={N1: live()},
        handled={N1: factories.handled(N1, 2)},
        built=[wanted(P1, network_id="n1")],
        jobs=[stuck, leaves, gone],
    )
    run = Run(Step.RETRY, asked=False, cause=Cause.UNAVAILABLE)
    known.apply(RunMoved(stuck.id, stuck.tenant, run, 7))
    made = decision(known, N1)

    assert isinstance(made, Start)
    assert made.superseded == ()
    assert {stuck.id, gone.id} == set(made.handled.outlived)


def test_a_job_that_nobody_has_taken_is_dropped_for_the_next_incarnation() -> None:
    known = world(wanted(N1, 1, incarnation=90), handled={N1: factories.handled(N1, 2)})
    fresh = job(N1, version=2, suffix="fresh")
    known.started(fresh, factories.handled(N1, 2), ())
    made = decision(known, N1)

    assert isinstance(made, Start)
    assert made.superseded == (fresh,)
    assert fresh.id not in made.handled.outlived


def test_what_heat_may_have_taken_is_superseded_when_nothing_stands_between() -> None:
    stuck = job(P1, suffix="stuck", refers_to=[N1])
    known = world(wanted(P1, 2, network_id="n1"), built=[wanted(N1)], jobs=[stuck])
    known.apply(RunMoved(stuck.id, stuck.tenant, Run(Step.RETRY, asked=True, stack="b1a7"), 7))
    made = decision(known, P1)

    assert isinstance(made, Start)
    assert (made.superseded, made.job.dependency, made.handled.stack) == ((stuck,), (), "b1a7")


# Holding back --------------------------------------------------------------------------------------


def test_a_missing_reference_holds_back() -> None:
    config = wanted(P1, network_id="n1")

    assert decision(world(config), P1) == Hold(
        Held(1, N1, "refers to network:n1, which is not in the configuration (yet)"), config
    )


def test_what_is_held_back_holds_back_what_refers_to_it() -> None:
    known = world(
        wanted(P1, network_id="n1"),
        wanted(S1, ports=["p1"]),
        held={P1: Held(1, N1, "refers to network:n1, which is not there")},
    )
    held = held_of(decision(known, S1))

    assert held == Held(1, P1, "refers to network:n1, which is not there", root=P1)
    assert held.reason == "waits for port:p1, which refers to network:n1, which is not there"


def test_at_the_end_of_a_chain_of_200_held_resources_only_the_root_is_named() -> None:
    """A reason is not a chain of reasons."""
    chain = [node(f"n{number:03}") for number in range(201)]
    known = world(
        wanted(chain[0], uses=["missing"]),
        *(wanted(here, uses=[below.id]) for below, here in pairwise(chain)),
    )

    for ref in chain:
        known.set_held(ref, held_of(decision(known, ref)))

    missing = "refers to node:missing, which is not in the configuration (yet)"
    reasons = [known.held[ref].reason for ref in chain]
    assert reasons[:3] == [
        missing,
        f"waits for node:n000, which {missing}",
        f"waits for node:n000 (through node:n001), which {missing}",
    ]
    assert reasons[200] == f"waits for node:n000 (through node:n199), which {missing}"
    assert {known.held[ref].root for ref in chain[1:]} == {chain[0]}


def test_an_undecided_reference_is_decided_first() -> None:
    known = world(wanted(P1, network_id="n1"), wanted(N1), dirty=[P1, N1])

    assert decision(known, P1) == First((N1,))


def test_a_missing_template_holds_back() -> None:
    config = wanted(IMAGE, template="custom")
    reason = "template 'custom' is neither in etcd nor in the catalogue; push it"

    assert decision(world(config), IMAGE) == Hold(
        Held(1, Ref("heat_template", "custom"), reason), config
    )


# Refusing ------------------------------------------------------------------------------------------


def test_a_bad_template_refuses_and_is_the_root() -> None:
    known = world(
        wanted(N1), templates={"network": BadTemplate("network", "template network: bad")}
    )

    assert failed_of(decision(known)) == Failed(
        1, Action.CREATE, "template network: bad", Ref("heat_template", "network")
    )


REFUSALS: list[Any] = [
    pytest.param(
        lambda: world(wanted(N1, fault="key: bad body")),
        N1,
        "key: bad body",
        id="a config with a fault",
    ),
    pytest.param(
        lambda: world(wanted(IMAGE, template=3)),
        IMAGE,
        "template_path of type image gives no template's id",
        id="template id",
    ),
    pytest.param(
        lambda: world(wanted(P1, network_id=["x"])),
        P1,
        "template port, parameter network: port:p1: property 'network_id' should hold the id of a network, not a list",
        id="a mapping that does not fit",
    ),
]


@pytest.mark.parametrize(("known", "ref", "error"), REFUSALS)
def test_what_cannot_become_a_job_is_refused_with_the_reason(
    known: Callable[[], World], ref: Ref, error: str
) -> None:
    failed = failed_of(decision(known(), ref))

    assert failed.error.startswith(error)
    assert (failed.version, failed.action, failed.root) == (1, Action.CREATE, ref)


def test_an_entry_of_the_schema_list_that_does_not_parse_is_the_root_of_the_failure() -> None:
    failed = failed_of(decision(world(wanted(Ref("broken", "b1"))), Ref("broken", "b1")))

    assert failed.error.startswith("template_path of type broken: mapping 'Xwhat'")
    assert failed.root == Ref("schema", "broken")


def test_a_reference_to_a_type_that_the_list_lacks_waits_and_names_the_list() -> None:
    """What a token's role does not see may come once it does; it is nobody's failure."""
    known = world(wanted(P1, network_id="n1"))
    known.schemas = Schemas(
        [kind for kind in known.schemas if kind.id != "network"], Origin("http://gohan", 17)
    )

    held = decision(known, P1)

    assert isinstance(held, Hold)
    assert held.held.waits_for == N1
    assert held.held.reason.startswith(
        "refers to network:n1, whose type is not in the schema list of http://gohan (revision 17)"
    )


def test_a_failed_reference_without_a_stack_refuses_and_names_the_root() -> None:
    known = world(wanted(S1, ports=["p1"]), wanted(P1, network_id="n1"), wanted(N1))
    own = Failed(1, Action.CREATE, "no VLANs", N1)
    known.set_failed(P1, own.passed_on(1, Action.CREATE, N1))
    failed = failed_of(decision(known, S1))

    assert failed == Failed(1, Action.CREATE, "no VLANs", N1, through=P1, inherited=True)
    assert failed.error == (
        "not built, because it depends on network:n1 (through port:p1), which failed: no VLANs"
    )


def test_a_failed_reference_with_a_stack_can_be_built_on() -> None:
    known = world(
        wanted(P1, network_id="n1"),
        built=[wanted(N1)],
        failed={N1: Failed(2, Action.MODIFY, "x", N1)},
    )

    assert job_of(decision(known, P1)).action is Action.CREATE


def test_a_failed_reference_that_is_being_repaired_can_be_waited_for() -> None:
    known = world(
        wanted(P1, network_id="n1"),
        wanted(N1, 2),
        failed={N1: Failed(1, Action.CREATE, "x", N1)},
        jobs=[job(N1, version=2)],
    )

    assert len(job_of(decision(known, P1)).dependency) == 1


def test_a_refused_modify_keeps_what_the_stack_was_built_from() -> None:
    known = world(built=[wanted(N1), wanted(P1, network_id="n1")])
    put(known, wanted(P1, 2, fault="bad"))
    found = decision(known, P1)

    assert isinstance(found, Refuse)
    assert (found.failed.action, found.handled.references, found.handled.version) == (
        Action.MODIFY,
        {"network": (N1,)},
        2,
    )
    assert found.handled.body == known.handled[P1].body


# Cycles --------------------------------------------------------------------------------------------


def test_a_cycle_of_outputs_is_refused_and_named() -> None:
    known = world(wanted(A, uses=["b"]), wanted(B, uses=["a"]), dirty=[B])
    failed = failed_of(decision(known, B, path=(A,)))

    assert (
        failed.error
        == "refers to itself in a circle: node:b → node:a → node:b; remove one of the references"
    )
    assert failed.root == B


def test_a_cycle_with_one_reference_to_a_value_is_built() -> None:
    known = world(wanted(A, uses=["b"]), wanted(B, reads=["a"]), dirty=[B])

    assert job_of(decision(known, B, path=(A,))).action is Action.CREATE


def test_a_cycle_of_what_is_built_already_is_updated() -> None:
    known = world(
        wanted(A, 2, uses=["b"]), wanted(B, 2, uses=["a"]), stacks={A: live(), B: live()}, dirty=[B]
    )

    assert job_of(decision(known, B, path=(A,))).action is Action.MODIFY


def test_a_reference_to_itself_is_no_cycle() -> None:
    assert job_of(decision(world(wanted(A, reads=["a"])), A)).action is Action.CREATE


# Nothing to build ----------------------------------------------------------------------------------

NO_TEMPLATE: list[Any] = [
    pytest.param(lambda: world(wanted(PLAN)), True, id="never reported"),
    pytest.param(
        lambda: world(wanted(PLAN), reported={PLAN: Reported(1, 11)}), False, id="reported"
    ),
    pytest.param(
        lambda: world(wanted(PLAN, 2), reported={PLAN: Reported(1, 11)}),
        True,
        id="an older version reported",
    ),
    pytest.param(
        lambda: world(wanted(PLAN, incarnation=20), reported={PLAN: Reported(1, 11)}),
        True,
        id="an earlier incarnation reported",
    ),
    pytest.param(
        lambda: world(wanted(PLAN, 2, marked=True), reported={PLAN: Reported(1, 11)}),
        True,
        id="marked",
    ),
]


@pytest.mark.parametrize(("known", "tells"), NO_TEMPLATE)
def test_what_has_no_template_is_reported_once_per_version(
    known: Callable[[], World], tells: bool
) -> None:
    there = known()

    assert decision(there, PLAN) == (Report(there.wanted[PLAN]) if tells else Nothing("reported"))


def test_a_template_path_that_gives_null_builds_nothing() -> None:
    config = wanted(IMAGE, template=None)

    assert decision(world(config), IMAGE) == Report(config)


# Deletion ------------------------------------------------------------------------------------------


def users_world() -> World:
    """``p1`` was built from ``n1``, which is marked."""
    known = world(built=[wanted(N1), wanted(P1, network_id="n1")])
    put(known, wanted(N1, 2, marked=True))
    return known


def test_a_deletion_waits_for_what_was_built_from_it_but_not_for_ever() -> None:
    known = users_world()
    held = Held(2, P1, "is to be deleted, but port:p1 was built from it and is still there")

    assert decision(known) == Hold(held, known.wanted[N1], patience=True)
    assert job_of(decision(known, patient=False)).action is Action.DELETE


def test_a_deletion_depends_on_the_deletions_of_what_was_built_from_it() -> None:
    known = users_world()
    going = job(P1, Action.DELETE, 2, refers_to=[N1])
    known.graph.add(going)

    assert job_of(decision(known)).dependency == (going.id,)


def test_a_deletion_lets_undecided_users_go_first() -> None:
    known = users_world()
    known.touch(P1)

    assert decision(known) == First((P1,))


def test_what_is_marked_and_cannot_be_built_can_still_be_deleted() -> None:
    known = world(built=[wanted(N1), wanted(P1, network_id="n1")])
    gone(known, N1)
    put(known, wanted(P1, 2, marked=True, network_id="n1"))

    assert (job_of(decision(known, P1)).action, job_of(decision(known, P1)).references()) == (
        Action.DELETE,
        frozenset({N1}),
    )


def test_a_second_mark_asks_again_after_a_failed_deletion() -> None:
    config = wanted(N1, 2, marked=True)
    known = world(
        config,
        stacks={N1: live("DELETE_FAILED")},
        failed={N1: Failed(2, Action.DELETE, "in use", N1)},
    )
    known.set_handled(N1, as_handled(known, config))

    assert decision(known) == Nothing("handled")
    put(known, wanted(N1, 3, marked=True))
    assert job_of(decision(known)).action is Action.DELETE


# Failing together ----------------------------------------------------------------------------------

TOGETHER: list[Any] = [
    pytest.param(job(P1, refers_to=[N1]), job(N1), True, id="built on what was not built"),
    pytest.param(
        job(P1, Action.MODIFY, refers_to=[N1]),
        job(N1, Action.MODIFY),
        True,
        id="updated on what was not updated",
    ),
    pytest.param(job(N1, Action.MODIFY, 2), job(N1), False, id="its turn on the same resource"),
    pytest.param(job(N1), job(P1, refers_to=[N1]), False, id="waiting for a user of it"),
    pytest.param(
        job(P1, refers_to=[N1]),
        job(N1, Action.DELETE),
        False,
        id="built while the other's deletion failed",
    ),
    pytest.param(
        job(N1, Action.DELETE),
        job(P1, Action.DELETE, refers_to=[N1]),
        True,
        id="deleted under a user that stays",
    ),
    pytest.param(
        job(N1, Action.DELETE),
        job(P1, Action.MODIFY, refers_to=[N1]),
        False,
        id="deleted after a user's failed update",
    ),
    pytest.param(
        job(P1, Action.DELETE, refers_to=[N1]),
        job(N1),
        False,
        id="deleted, what it was built from having failed",
    ),
]


@pytest.mark.parametrize(("dependent", "ended", "fails"), TOGETHER)
def test_a_job_fails_with_the_one_it_builds_on(dependent: Job, ended: Job, fails: bool) -> None:
    over = Over(ended.id, ended.ref, ended.action, ended.references())
    assert fails_with(dependent, over) is fails


def test_the_text_of_a_failure_names_the_root_once_however_long_the_chain() -> None:
    own = Failed(1, Action.CREATE, "no VLANs", N1)
    first = own.passed_on(1, Action.CREATE, N1)
    second = first.passed_on(1, Action.CREATE, P1)
    third = second.passed_on(1, Action.CREATE, S1)

    assert own.error == "no VLANs"
    assert first.error == "not built, because it depends on network:n1, which failed: no VLANs"
    assert (
        second.error
        == "not built, because it depends on network:n1 (through port:p1), which failed: no VLANs"
    )
    assert (
        third.error
        == "not built, because it depends on network:n1 (through server:s1), which failed: no VLANs"
    )


def test_the_words_of_a_cause_are_kept_whatever_they_are() -> None:
    """Heat may say the words with which we name a cause."""
    words = "Heat ended in CREATE_FAILED: the resource port, which failed: no VLANs"
    own = Failed(1, Action.CREATE, words, N1)
    first = own.passed_on(1, Action.CREATE, N1)
    second = first.passed_on(1, Action.CREATE, P1)

    assert own.error == words
    assert first.error == f"not built, because it depends on network:n1, which failed: {words}"
    assert (
        second.error
        == f"not built, because it depends on network:n1 (through port:p1), which failed: {words}"
    )


def test_the_order_of_jobs_survives_a_takeover() -> None:
    """Where a resource is going is told by its last job, whatever the keys sort like."""
    graph = JobGraph()
    for action in (Action.DELETE, Action.CREATE):
        graph.add(job(P1, action, 1 if action is Action.DELETE else 2))

    assert [known.action for known in graph.on(P1)] == [Action.DELETE, Action.CREATE]


def test_what_failed_through_a_neighbour_is_tried_again_when_either_is_repaired() -> None:
    known = world(wanted(S1, ports=["p1"]), wanted(P1, network_id="n1"), wanted(N1))
    known.set_failed(S1, Failed(1, Action.CREATE, "x", N1, through=P1))

    assert known.failed_because_of(N1) == known.failed_because_of(P1) == [S1]
    known.set_failed(S1, None)
    assert known.failed_because_of(N1) == known.failed_because_of(P1) == []


def test_a_change_that_leaves_a_failed_one_behind_does_not_fail_with_it() -> None:
    """Its params name the reference of the version before, for waiting; its own version refers to another."""
    moved = job(P1, Action.MODIFY, 2, refers_to=[N1, S1])
    over = Over(job(N1).id, N1, Action.CREATE, frozenset())

    assert fails_with(moved, over, frozenset({N1, S1}))
    assert not fails_with(moved, over, frozenset({S1}))
