"""Whatever happens, in whatever order: what always holds of the bridge's decisions.

``PROPERTIES=50`` in the environment tries fifty times as many histories.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from orchestrator.core.records import StackRecord
from orchestrator.core.refs import Ref

from tests.factories import node
from tests.properties import TIMES
from tests.unit.system.bench import Bench

NODES = [node(name) for name in "abcd"]
nodes = st.sampled_from(NODES)
some_ids = st.lists(st.sampled_from("abcd"), unique=True, max_size=2)

events = st.one_of(
    st.tuples(st.just("put"), nodes, some_ids, some_ids),
    st.tuples(st.just("put"), nodes, some_ids, st.just([])),
    st.tuples(st.just("mark"), nodes),
    st.tuples(st.just("remove"), nodes),
    st.tuples(st.just("move"), nodes),
    st.tuples(st.just("resync"), nodes),
    st.tuples(st.just("stale"), nodes),
    st.tuples(st.just("settle")),
    st.tuples(st.just("begin"), st.integers(0, 3)),
    st.tuples(st.just("end"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("restart")),
)
beginnings = st.sampled_from(["nothing", "all are built", "all are under way"])


@st.composite
def histories_of(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Events, some of them on stacks that are there already: that is where the trouble is."""
    beginning = draw(beginnings)
    first: list[tuple[Any, ...]] = []
    if beginning != "nothing":
        first = BUILT if beginning == "all are built" else [*BUILT[:4], ("begin", 0)]
    return [*first, *draw(st.lists(events, max_size=25))]


histories = histories_of()


def happen(bench: Bench, event: tuple[Any, ...]) -> None:
    match event:
        case ("put", Ref() as ref, uses, reads):
            bench.put(ref, uses=uses, reads=reads)
        case ("mark", ref):
            bench.mark(ref)
        case ("remove", ref):
            bench.remove(ref)
        case ("move", ref):
            bench.move(ref)
        case ("resync", ref):
            bench.put_again(ref, bench.versions.get(ref, 1))
        case ("stale", ref) if bench.versions.get(ref, 1) > 1:
            bench.put_again(ref, bench.versions[ref] - 1)
        case ("give", ref, value):
            bench.give(ref, value)
        case ("settle",):
            bench.settle()
        case ("begin", which) if jobs := bench.runnable():
            bench.begin(jobs[which % len(jobs)])
        case ("end", which, complete) if jobs := bench.runnable():
            bench.end(jobs[which % len(jobs)], complete=complete)
        case ("restart",):
            bench.restart()


def after(history: list[tuple[Any, ...]]) -> Bench:
    bench = Bench()
    for event in history:
        happen(bench, event)
        bench.check_jobs()
    return bench


A, B, C, D = NODES


@given(histories)
@settings(max_examples=60 * TIMES)
@example([("put", A, ["b"], []), ("put", B, ["a"], [])])
@example([("put", A, ["b"], []), ("put", B, [], ["a"])])
@example(
    [
        ("put", A, [], []),
        ("settle",),
        ("end", 0, True),
        ("remove", A),
        ("put", A, [], []),
        ("settle",),
    ]
)
def test_every_wanted_version_is_held_back_or_reported_in_the_end(
    history: list[tuple[Any, ...]],
) -> None:
    bench = after(history)
    bench.quiet()
    bench.check_jobs()
    bench.check_reports()
    bench.check_stacks()
    bench.check_states_never_outrun_configs()


changes = st.tuples(st.just("give"), nodes, st.sampled_from(["cloud", "another", "a third"]))


@given(st.lists(st.one_of(events, changes), max_size=20))
@settings(max_examples=60 * TIMES)
def test_whoever_is_complete_was_built_from_the_last_outputs(
    history: list[tuple[Any, ...]],
) -> None:
    bench = after([*BUILT, *history])
    bench.quiet()

    check_inputs(bench)
    made = len(bench.heat.requests)
    bench.restart()
    bench.quiet()
    assert len(bench.heat.requests) == made, "the next leader finds nothing to do"


def check_inputs(bench: Bench) -> None:
    """Of what is complete and built from what is complete."""
    given = {r.name: r.request for r in bench.heat.requests if r.request}
    complete = {ref for ref in NODES if is_complete(bench, ref)}
    for ref in complete:
        uses = [node(name) for name in bench.world.wanted[ref].body["uses"]]
        if set(uses) <= complete - {ref}:
            now = [recorded(bench, other) for other in uses]
            assert given[ref.stack_name].parameters["uses"] == now, ref


def is_complete(bench: Bench, ref: Ref) -> bool:
    """Wanted, built in its newest version, and not held."""
    world = bench.world
    wanted, handled = world.wanted.get(ref), world.handled.get(ref)
    if wanted is None or handled is None or wanted.marked_for_deletion:
        return False
    if ref in world.held or world.is_stale(wanted):
        return False
    return world.is_settled(ref) and handled.version == wanted.version


def recorded(bench: Bench, ref: Ref) -> str:
    """The output of a stack, as its record has it."""
    found = bench.store.get(bench.keys.below(bench.keys.stacks, ref))
    assert found is not None
    value = StackRecord.from_json(found.value).outputs_by_key()["id"]["output_value"]
    return str(value)


SETTLE: tuple[Any, ...] = ("settle",)
BUILT: list[tuple[Any, ...]] = [
    *(("put", A, [], []), ("put", B, ["a"], []), ("put", C, ["b"], ["a"]), SETTLE),
    *[("end", 0, True)] * 3,
]
MOVES: dict[str, list[tuple[Any, ...]]] = {
    "a moved resource that is marked before the move is seen is deleted where it is": [
        *(("put", A, [], []), SETTLE, ("end", 0, True)),
        *(("move", A), ("mark", A), SETTLE),
    ],
    "the same while Heat is at work on it": [
        *(("put", A, [], []), SETTLE, ("begin", 0)),
        *(("move", A), ("mark", A), SETTLE),
    ],
    "one whose job keeps its place, for others wait for it, is deleted where that job builds it": [
        *(("put", A, [], []), ("put", B, ["a"], []), SETTLE),
        *(("move", A), SETTLE, ("mark", A), SETTLE),
    ],
    "the same after the job, and after a restart": [
        *(("put", A, [], []), ("put", B, ["a"], []), SETTLE, ("end", 0, True)),
        *(("move", A), SETTLE, ("mark", A), ("restart",), SETTLE),
    ],
    "one that is made anew and moved before it was built leaves nothing where it was first": [
        *(("put", A, [], []), ("put", B, ["a"], []), SETTLE),
        *(("remove", A), ("put", A, [], []), ("move", A), SETTLE, ("remove", A), SETTLE),
    ],
    "one that moves there and back is where it was": [
        *(("put", A, [], []), SETTLE, ("end", 0, True)),
        *(("move", A), SETTLE, ("move", A), SETTLE),
    ],
}


@pytest.mark.parametrize("history", MOVES.values(), ids=MOVES.keys())
def test_a_move_leaves_no_stack_behind(history: list[tuple[Any, ...]]) -> None:
    bench = after(history)
    bench.quiet()
    bench.check_jobs()
    bench.check_reports()
    bench.check_stacks()
    bench.check_states_never_outrun_configs()


SIBLINGS: list[tuple[Any, ...]] = [("put", A, [], []), ("put", B, [], ["a"]), ("put", C, [], ["a"])]
"""Two that fail because of one."""
REFUSED_WHILE_BUILT: list[tuple[Any, ...]] = [
    *(("put", C, [], []), ("settle",), ("begin", 0)),
    *(("put", A, ["b"], []), ("put", B, ["a"], []), ("put", C, [], ["a"])),
]
"""The second version of c is refused (a circle) while Heat still works on the first."""
FAILED_WHILE_BUILT: list[tuple[Any, ...]] = [
    *(("put", B, ["b"], []), ("put", A, [], []), ("settle",), ("begin", 1)),
    *(("put", A, [], ["b"]), ("settle",), ("end", 0, False)),
]
"""The second version of a fails with b while Heat still works on the first."""


@given(histories)
@settings(max_examples=50 * TIMES)
@example(SIBLINGS)
@example(REFUSED_WHILE_BUILT)
@example(FAILED_WHILE_BUILT)
def test_the_same_holds_when_everything_fails(history: list[tuple[Any, ...]]) -> None:
    bench = after(history)
    bench.quiet(complete=False)
    bench.check_jobs()
    bench.check_reports()
    bench.check_states_never_outrun_configs()


@given(histories)
@settings(max_examples=50 * TIMES)
def test_nothing_is_left_of_what_is_removed(history: list[tuple[Any, ...]]) -> None:
    bench = after(history)
    bench.quiet()
    for ref in NODES:
        bench.remove(ref)
    bench.quiet()

    assert bench.left() == []
    bench.check_stacks()


@given(histories)
@settings(max_examples=40 * TIMES)
@example([("put", C, ["a"], ["b"]), ("put", A, ["a"], []), ("put", B, [], ["d"])])
@example([("put", A, ["a", "c"], []), ("put", D, ["b"], []), ("put", B, ["a", "d"], [])])
@example([("put", A, ["a", "c"], []), ("put", D, ["b"], []), ("put", B, ["d", "a"], [])])
@example([*BUILT, ("mark", A), ("move", C), SETTLE, ("stale", C)])
def test_a_restart_when_all_is_quiet_changes_nothing(history: list[tuple[Any, ...]]) -> None:
    """Of several things that hold a resource back, a restart may name another."""
    bench = after(history)
    bench.quiet()
    before, held, asked = bench.values(), bench.held(), len(bench.heat.requests)
    bench.restart()
    bench.quiet()

    assert (bench.values(), bench.held().keys(), len(bench.heat.requests)) == (
        before,
        held.keys(),
        asked,
    )


def test_what_is_told_of_a_resource_that_is_held_back_is_true_when_things_have_changed() -> None:
    """a uses b uses c; b is written while a waits for it, and now waits for c."""
    bench = Bench()
    for ref, uses in ((A, ["b"]), (B, ["c"])):
        bench.put(ref, uses=uses)
        bench.quiet()

    missing = "refers to node:c, which is not in the configuration (yet)"
    assert {ref: record.reason for ref, record in bench.held().items()} == {
        A: f"waits for node:b, which {missing}",
        B: missing,
    }


def test_a_chain_of_200_held_resources_names_its_root_and_is_built_when_that_comes() -> None:
    bench = Bench()
    chain = [Ref("node", f"n{number:03}") for number in range(200)]
    for below, ref in pairwise([Ref("node", "missing"), *chain]):
        bench.put(ref, uses=[below.id])
    bench.quiet()

    missing = "refers to node:missing, which is not in the configuration (yet)"
    reasons = {ref: record.reason for ref, record in bench.held().items()}
    assert len(reasons) == 200
    assert reasons[chain[-1]] == f"waits for {chain[0]} (through {chain[-2]}), which {missing}"

    bench.put(Ref("node", "missing"))
    bench.quiet()
    assert not bench.held()


peaceful = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.just(B), st.just(["a"]), st.just([])),
        st.tuples(st.just("put"), st.just(C), st.just(["b"]), st.sampled_from([[], ["a"]])),
        st.tuples(st.just("put"), st.just(D), st.sampled_from([["b"], ["c", "a"]]), st.just([])),
        st.tuples(st.just("put"), st.just(A), st.just([]), st.just([])),
        st.tuples(st.just("settle")),
        st.tuples(st.just("begin"), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 3), st.just(True)),
        st.tuples(st.just("restart")),
    ),
    max_size=25,
)


@given(peaceful)
@settings(max_examples=60 * TIMES)
def test_where_nothing_goes_wrong_nothing_fails(history: list[tuple[Any, ...]]) -> None:
    """Every job finds the outputs that it needs, whatever was restarted or written in between."""
    bench = after(
        [
            *history,
            ("put", A, [], []),
            ("put", B, ["a"], []),
            ("put", C, ["b"], []),
            ("put", D, ["c"], []),
        ]
    )
    bench.quiet()

    states = {ref: bench.state(ref) for ref in NODES}
    assert {ref: (state["version"], state["error"]) for ref, state in states.items()} == {
        ref: (bench.versions[ref], "") for ref in NODES
    }


@pytest.mark.parametrize(
    "order", [(A, B, C), (C, B, A), (B, A, C)], ids=["forwards", "backwards", "mixed"]
)
def test_a_chain_is_built_in_order_whatever_the_order_of_writing(order: tuple[Ref, ...]) -> None:
    bench = Bench()
    uses = {A: [], B: ["a"], C: ["b"]}
    for ref in order:
        bench.put(ref, uses=uses[ref])
        bench.settle()
    bench.quiet()

    assert [request.name for request in bench.heat.requests] == ["node_a", "node_b", "node_c"]
