"""What holds of every mapping, not only of those that we thought of."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from orchestrator.core.mapping import Field, Missing, Node, Output, Scope, evaluate, parse
from orchestrator.core.refs import Json, Ref
from orchestrator.errors import MappingError, MappingSyntaxError

from tests.properties import TIMES

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)

names = st.sampled_from(["a", "b_id", "name", "ips"])
types = st.sampled_from(["network", "plan"])
words = st.sampled_from(
    [
        "",
        "C",
        "P",
        "F",
        "M",
        "O",
        "V",
        "A",
        "+",
        ":",
        "&",
        "name",
        "a_id",
        "network",
        "auto_filled",
        "(",
    ]
)
nearly_short = st.lists(words, max_size=8).map("".join)
keys = st.sampled_from(
    [
        "constant",
        "field",
        "path",
        "output_key",
        "version",
        "ignore_missing",
        "if_mapping",
        "then_mapping",
        "else_mapping",
    ]
) | st.sampled_from(["for_field", "for_mapping", "equal", "regexp", "type", "id"])
nearly_mappings = st.recursive(
    scalars | nearly_short | names,
    lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=10,
)


@given(json_values | nearly_short | nearly_mappings)
@settings(max_examples=200 * TIMES)
def test_the_parser_raises_nothing_but_a_syntax_error(mapping: Json) -> None:
    with contextlib.suppress(MappingSyntaxError):
        parse(mapping)


hops = st.lists(st.tuples(types, names), min_size=1, max_size=3)


def as_objects(path: list[tuple[str, str]]) -> Json:
    return [{"type": kind, "id": owner} for kind, owner in path]


both_spellings = st.one_of(
    st.text(max_size=8).map(lambda text: (f"C{text}", {"constant": text})),
    names.map(lambda name: (f"P{name}", {"field": name})),
    st.just(("Vauto_filled", {"version": "auto_filled"})),
    st.tuples(hops, names).map(
        lambda p: (
            "F" + ":".join(f"{k}+{o}" for k, o in p[0]) + f":{p[1]}",
            {"field": p[1], "path": as_objects(p[0])},
        )
    ),
    st.tuples(hops, names).map(
        lambda p: (
            "M" + ":".join(f"{k}:{o}" for k, o in p[0]) + f":{p[1]}",
            {"output_key": p[1], "path": as_objects(p[0])},
        )
    ),
)


@given(both_spellings)
def test_both_spellings_are_the_same_tree(pair: tuple[str, Json]) -> None:
    short, spelt_out = pair
    assert parse(short) == parse(spelt_out)


ids = st.none() | st.sampled_from(["n1", "big", "gone", ""])
bodies = st.fixed_dictionaries(
    {},
    optional={
        "a": ids,
        "b_id": ids,
        "name": scalars,
        "ips": st.none() | st.lists(ids | st.dictionaries(names, ids), max_size=3),
    },
)
trees: st.SearchStrategy[Json] = st.recursive(
    both_spellings.map(lambda pair: pair[0])
    | st.tuples(hops, names, st.booleans()).map(
        lambda p: {"field": p[1], "path": as_objects(p[0]), "ignore_missing": p[2]}
    ),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["equal", "regexp"]), inner, inner, inner, inner).map(
            lambda p: {
                "if_mapping": {p[0]: [p[1], p[2]]},
                "then_mapping": p[3],
                "else_mapping": p[4],
            }
        ),
        st.tuples(names, inner).map(lambda p: {"for_field": p[0], "for_mapping": p[1]}),
    ),
    max_leaves=6,
)


@given(trees, bodies, bodies, bodies)
@settings(max_examples=100 * TIMES)
def test_evaluation_is_deterministic_and_every_reference_exists(
    mapping: Json, here: Mapping[str, Json], network: Mapping[str, Json], plan: Mapping[str, Json]
) -> None:
    there = {Ref("network", "n1"): network, Ref("plan", "big"): plan}
    scope = Scope(Ref("port", "p1"), 1, here, lambda ref: there.get(ref))
    try:
        tree = parse(mapping)
        first = evaluate(tree, scope)
    except (MappingSyntaxError, MappingError, Missing):
        return
    assert evaluate(tree, scope) == first
    assert set(first.references) <= there.keys()


@given(both_spellings, bodies)
def test_what_is_read_without_a_hop_leaves_no_reference(
    pair: tuple[str, Json], here: Mapping[str, Json]
) -> None:
    tree: Node = parse(pair[0])
    if not (isinstance(tree, (Field, Output)) and tree.path):
        assert evaluate(tree, Scope(Ref("port", "p1"), 1, here, lambda ref: None)).references == ()
