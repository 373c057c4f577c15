"""A mapping that would take or make too much fails its own resource, always at the same place."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from orchestrator.core.mapping import Missing, Scope, evaluate, parse
from orchestrator.core.mapping.bounds import (
    MAPPING_STEPS,
    REFERENCE_LIMIT,
    RESOURCE_STEPS,
    SIZE_LIMIT,
    Budget,
)
from orchestrator.core.mapping.parser import PART_LIMIT, PATTERN_TEXT_LIMIT
from orchestrator.core.planning import Refuse, Start, decide
from orchestrator.core.refs import Json, Ref
from orchestrator.core.resources import Body, Wanted
from orchestrator.core.templates import BadTemplate, Template, parse_template_value
from orchestrator.core.world import World
from orchestrator.errors import MappingError, MappingSyntaxError

from tests.factories import schemas

NODE = Ref("node", "bad")
SECONDS = 1.0
"""Of CPU, in which any mapping ends. Measured: a tenth of that."""


def template(**mappings: Json) -> Template | BadTemplate:
    body = {"id": "node", "template_file": "x", "parameter_mappings": mappings}
    return parse_template_value("node", json.dumps({"version": 1, "body": body}).encode())


def world(
    body: Mapping[str, Json], mappings: Mapping[str, Json], others: Mapping[str, Json]
) -> World:
    bodies = {"bad": body, **others}
    wanted = {}
    for name, properties in bodies.items():
        text = json.dumps({"id": name, "tenant_id": "t1", **properties})
        ref = Ref("node", name)
        wanted[ref] = Wanted(ref, 1, Body(text), incarnation=1, revision=1)
    return World(schemas(), wanted=wanted, templates={"node": template(**mappings)})


def outcome(
    body: Mapping[str, Json], mappings: Mapping[str, Json], others: Mapping[str, Json] | None = None
) -> str:
    """What becomes of the resource: the error, or how many characters the job record has."""
    decided = decide(world(body, mappings, others or {}), NODE, lambda: "00000")
    if isinstance(decided, Refuse):
        return decided.failed.error
    assert isinstance(decided, Start), decided
    return f"{len(decided.job.to_json())} characters"


def loops(depth: int, body: Json = "Cx") -> Json:
    """Loops in each other over the resource's own ``items``, which are ids of resources."""
    for _ in range(depth - 1):
        body = {
            "for_field": {"field": "items", "path": [{"type": "node", "id": ""}]},
            "for_mapping": body,
        }
    return {"for_field": "items", "for_mapping": body}


def when(test: str, left: Json, right: Json) -> Json:
    return {"if_mapping": {test: [left, right]}, "then_mapping": "Cyes", "else_mapping": "Cno"}


ELSEWHERE: Json = [{"type": "node", "id": ""}]
ITSELF = {"items": ["bad"] * 200}
STEPS = f"its mapping takes more than {MAPPING_STEPS} evaluation steps"
SIZE = f"its mapping makes more than {SIZE_LIMIT} characters"
REFERENCES = f"its mapping makes more than {REFERENCE_LIMIT} references"

HOSTILE: list[Any] = [
    pytest.param(ITSELF, {"x": loops(4)}, STEPS, id="four loops in each other"),
    pytest.param(ITSELF, {"x": loops(12)}, STEPS, id="twelve loops in each other"),
    pytest.param(
        ITSELF,
        {f"x{n}": loops(2) for n in range(9)},
        STEPS,
        id="many mappings that are allowed by themselves",
    ),
    pytest.param({"items": [None] * 20_000}, {"x": loops(1, "AC&C&C")}, STEPS, id="a long list"),
    pytest.param(
        {"text": "x" * 200_000},
        {"x": "A" + "&".join(["Ptext"] * 3000)},
        SIZE,
        id="a text three thousand times",
    ),
    pytest.param(
        {"text": "x" * 400_000},
        {f"x{n}": "Ptext" for n in range(9)},
        SIZE,
        id="a long text in several parameters",
    ),
    pytest.param(
        {"items": ["bad"] * 2000, "list": list(range(9999))},
        {"x": loops(1, {"field": "list", "path": ELSEWHERE})},
        "its mapping ",
        id="a list that contains a list many times",
    ),
    pytest.param(
        {"items": [{"list": [1] * 20}] * 5000},
        {"x": {"for_field": "items", "for_mapping": "APlist&C"}},
        SIZE,
        id="lists as texts",
    ),
    pytest.param(
        {"items": ["bad"] * 999, "a": [1] * 40_000, "b": [1] * 40_000},
        {
            "x": loops(
                1,
                when("equal", {"field": "a", "path": ELSEWHERE}, {"field": "b", "path": ELSEWHERE}),
            )
        },
        STEPS,
        id="long lists compared",
    ),
    pytest.param(
        {"items": [{"a": "x" * 5000, "b": "x" * 5000}] * 3000},
        {"x": {"for_field": "items", "for_mapping": when("equal", "Pa", "Pb")}},
        STEPS,
        id="long texts compared",
    ),
    pytest.param(
        {"items": [{"pattern": f"(?i)[\0-\uffff]+{n}"} for n in range(3000)]},
        {"x": {"for_field": "items", "for_mapping": when("regexp", "Cx", "Ppattern")}},
        STEPS,
        id="many patterns",
    ),
    pytest.param(
        {"pattern": "x{99999999999999999999}"},
        {"x": when("regexp", "Cx", "Ppattern")},
        'the regular expression that "Ppattern" gives cannot be used: a number or a nesting in it is too large',
        id="a pattern with a large number",
    ),
    pytest.param(
        {"text": "a" * 100},
        {"x": when("regexp", "Ptext", {"constant": "(a*)*\\1b"})},
        "its mapping has a pattern that refers back to a group",
        id="a pattern that backtracks",
    ),
    pytest.param(
        {"items": ["bad"] * 60, "text": "a" * 900},
        {
            "x": loops(
                3, when("regexp", {"field": "text", "path": ELSEWHERE}, {"constant": ".*.*x"})
            )
        },
        STEPS,
        id="a pattern in loops",
    ),
    pytest.param(
        {"items": ["x" * 1001]},
        {"x": loops(1, {"field": "id", "path": ELSEWHERE})},
        "so it is no id",
        id="an id that is none",
    ),
]


@pytest.mark.parametrize(("body", "mappings", "error"), HOSTILE)
def test_what_takes_or_makes_too_much_fails_the_resource_in_time(
    body: dict[str, Json], mappings: dict[str, Json], error: str
) -> None:
    before = time.process_time()

    told = outcome(body, mappings)

    assert time.process_time() - before < SECONDS
    assert error in told
    assert told.startswith("template node, parameter x")
    assert "node:bad: " in told
    assert len(told) < 1_200
    assert outcome(body, mappings) == told, "it is counted, not timed"


def test_reading_the_bodies_of_many_others_counts() -> None:
    others = {f"o{n}": {"text": "x" * 300_000} for n in range(30)}
    body = {"items": [*others, *others, *others]}

    assert STEPS in outcome(body, {"x": loops(1, {"field": "id", "path": ELSEWHERE})}, others)


def test_references_are_counted_as_often_as_they_are_taken() -> None:
    mapping = {"x": loops(1, {"field": "id", "path": ELSEWHERE})}

    assert outcome({"items": ["o"] * REFERENCE_LIMIT}, mapping, {"o": {}}).endswith("characters")
    assert REFERENCES in outcome({"items": ["o"] * (REFERENCE_LIMIT + 1)}, mapping, {"o": {}})


def test_a_list_that_would_be_huge_when_written_out_is_never_made() -> None:
    body = {"items": ["bad"] * 5000, "text": "x" * 200}
    made = world(body, {"x": loops(2, {"field": "text", "path": ELSEWHERE})}, {})
    tracemalloc.start()
    try:
        decided = decide(made, NODE, lambda: "00000")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(decided, Refuse)
    assert peak < 30 * 1024**2


ALLOWED: list[Any] = [
    pytest.param({"items": [None] * 20_000}, {"x": loops(1)}, id="twenty thousand elements"),
    pytest.param(
        {"text": "x" * 300_000}, {"x": "Ptext", "y": "APtext&C!"}, id="most of a megabyte"
    ),
    pytest.param({}, {"x": "A" + "&".join(["Ca"] * 9000)}, id="nine thousand parts"),
    pytest.param(
        {"items": [{"n": n} for n in range(1000)]},
        {f"x{n}": loops(1, "Pn") for n in range(20)},
        id="twenty loops",
    ),
    pytest.param(
        {"text": "a" * 40},
        {"x": when("regexp", "Ptext", {"constant": "(a+)+$"})},
        id="a pattern with too many ways",
    ),
    pytest.param(
        {"items": ["bad"] * 300},
        {"x": loops(1, {"field": "id", "path": ELSEWHERE})},
        id="three hundred references",
    ),
]


@pytest.mark.parametrize(("body", "mappings"), ALLOWED)
def test_what_is_large_and_not_too_large_is_built(
    body: dict[str, Json], mappings: dict[str, Json]
) -> None:
    assert outcome(body, mappings).endswith("characters")


def test_a_mapping_has_its_own_bound_and_the_resource_has_one_for_all() -> None:
    budget = Budget()
    node = parse({"for_field": "items", "for_mapping": "Cx"})
    scope = Scope(NODE, 1, {"items": [None] * (MAPPING_STEPS - 2)}, lambda ref: None, budget=budget)
    for _ in range(RESOURCE_STEPS // MAPPING_STEPS):
        evaluate(node, scope)

    with pytest.raises(MappingError, match="together with the resource's other mappings"):
        evaluate(node, scope)


@pytest.mark.parametrize(
    "error",
    [RecursionError(), MemoryError(), OverflowError(), KeyError("secret"), OSError("secret")],
    ids=repr,
)
def test_whatever_is_raised_is_an_error_of_that_resource_without_its_words(
    error: Exception,
) -> None:
    def lookup(ref: Ref) -> Mapping[str, Json]:
        raise error

    with pytest.raises(MappingError) as caught:
        evaluate(parse("Fnode+other:name"), Scope(NODE, 1, {"other": "n"}, lookup))
    assert f"node:bad: its mapping raised {type(error).__name__}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_resource_that_is_missing_is_no_error() -> None:
    with pytest.raises(Missing):
        evaluate(parse("Fnode+other:name"), Scope(NODE, 1, {"other": "n"}, lambda ref: None))


TOO_LARGE: list[Any] = [
    pytest.param(
        "A" + "&".join(["Ca"] * (PART_LIMIT + 1)),
        f"more than {PART_LIMIT} parts",
        id="a concatenation",
    ),
    pytest.param(
        "F" + "node+other:" * (PART_LIMIT + 1) + "name",
        f"more than {PART_LIMIT} parts",
        id="short hops",
    ),
    pytest.param(
        {"field": "a", "path": ["other"] * (PART_LIMIT + 1)},
        f"more than {PART_LIMIT} parts",
        id="hops",
    ),
    pytest.param(
        json.loads('{"for_field": "a", "for_mapping":' * 40 + '"Cx"' + "}" * 40),
        "nested deeper than 32",
        id="loops",
    ),
    pytest.param(
        {"constant": json.loads("[" * 102 + "]" * 102)},
        "a constant nested deeper than 100",
        id="a deep constant",
    ),
    pytest.param(
        when("regexp", "Px", {"constant": "x{99999999999999999999}"}),
        "is too large",
        id="a number in a pattern",
    ),
    pytest.param(
        when("regexp", "Px", {"constant": "x" * 1001}),
        "it has 1001 characters",
        id="a long pattern",
    ),
]


@pytest.mark.parametrize(("mapping", "why"), TOO_LARGE)
def test_a_mapping_that_is_too_large_does_not_parse_and_is_not_quoted_in_full(
    mapping: Json, why: str
) -> None:
    with pytest.raises(MappingSyntaxError, match=why) as caught:
        parse(mapping)
    assert len(str(caught.value)) < 1_000


def test_the_mappings_of_a_template_share_what_they_may_have() -> None:
    many = {f"x{n}": {"path": ["a", "b", "c"], "field": "d"} for n in range(PART_LIMIT // 3)}
    patterns = {
        f"x{n}": when("regexp", "Px", {"constant": f"{n:0500}"})
        for n in range(PATTERN_TEXT_LIMIT // 500 + 1)
    }

    for mappings, what in ((many, "parts"), (patterns, "characters")):
        made = template(**mappings)
        assert isinstance(made, BadTemplate)
        assert (
            f"the document's {'mappings' if what == 'parts' else 'regular expressions'} have more than"
            in made.reason
        )


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_bad_json(value: str) -> None:
    made = parse_template_value(
        "node",
        b'{"body": {"template_file": "x", "parameter_mappings": {"x": {"constant": %b}}}}'
        % value.encode(),
    )

    assert isinstance(made, BadTemplate)
    assert made.reason.startswith("template node: not JSON: ")
