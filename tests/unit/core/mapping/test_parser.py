"""Both spellings of every mapping, and what is said about text that is none."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.core.mapping import (
    Concat,
    Constant,
    Field,
    ForEach,
    Hop,
    If,
    Node,
    ObjectField,
    Output,
    Version,
    parse,
)
from orchestrator.errors import MappingSyntaxError

A, B = Hop("a_id", "a"), Hop("b_id", "b")

FORMS: list[Any] = [
    pytest.param("C3", Constant("3"), id="a short constant is a text"),
    pytest.param("C", Constant(""), id="an empty constant"),
    pytest.param("CPname", Constant("Pname"), id="a constant that looks like a mapping"),
    pytest.param({"constant": "3"}, Constant("3"), id="a constant text"),
    pytest.param({"constant": 3}, Constant(3), id="a constant keeps its JSON type"),
    pytest.param({"constant": None}, Constant(None), id="a constant null"),
    pytest.param(
        {"constant": {"field": "x"}},
        Constant({"field": "x"}),
        id="a constant object is not a mapping",
    ),
    pytest.param("Pname", Field("name"), id="an own property"),
    pytest.param({"field": "name"}, Field("name"), id="an own property, as an object"),
    pytest.param({"field": "name", "path": []}, Field("name"), id="an empty path"),
    pytest.param(
        "Oprimary:ip", ObjectField("primary", "ip"), id="a property of an object property"
    ),
    pytest.param(
        "Oprimary:ip:port",
        ObjectField("primary", "ip:port"),
        id="the second colon belongs to the name",
    ),
    pytest.param("Fa+a_id:name", Field("name", (A,)), id="a field over one hop"),
    pytest.param(
        {"field": "name", "path": [{"type": "a", "id": "a_id"}]},
        Field("name", (A,)),
        id="the same as an object",
    ),
    pytest.param("Fa+a_id:b+b_id:name", Field("name", (A, B)), id="a field over two hops"),
    pytest.param(
        {"field": "name", "path": ["a_id"]}, Field("name", (Hop("a_id"),)), id="a hop by relation"
    ),
    pytest.param(
        {"field": "name", "path": ["a_id", {"type": "b", "id": "b_id"}]},
        Field("name", (Hop("a_id"), B)),
        id="hops of both kinds",
    ),
    pytest.param(
        {"field": "x", "path": [{"type": "a", "id": ""}]},
        Field("x", (Hop("", "a"),)),
        id="the element is the id",
    ),
    pytest.param(
        {"field": "x", "path": ["a_id"], "ignore_missing": True},
        Field("x", (Hop("a_id"),), True),
        id="ignore_missing",
    ),
    pytest.param("Ma:a_id:id", Output("id", (A,)), id="an output"),
    pytest.param("Ma:a_id:b:b_id:id", Output("id", (A, B)), id="an output over two hops"),
    pytest.param(
        {"path": ["a_id"], "output_key": "id"},
        Output("id", (Hop("a_id"),)),
        id="an output, as an object",
    ),
    pytest.param(
        {"path": ["a_id"], "output_key": "id", "ignore_missing": True},
        Output("id", (Hop("a_id"),), True),
        id="an output that may be missing",
    ),
    pytest.param("Vauto_filled", Version(), id="the version"),
    pytest.param({"version": "auto_filled"}, Version(), id="the version, as an object"),
    pytest.param(
        "ACx_&Pname&Vauto_filled",
        Concat((Constant("x_"), Field("name"), Version())),
        id="a concatenation",
    ),
    pytest.param("APname", Concat((Field("name"),)), id="a concatenation of one"),
    pytest.param(
        {
            "if_mapping": {"equal": ["Pa", {"constant": 1}]},
            "then_mapping": "Pb",
            "else_mapping": {"constant": None},
        },
        If("equal", Field("a"), Constant(1), Field("b"), Constant(None)),
        id="if equal",
    ),
    pytest.param(
        {"if_mapping": {"regexp": ["Pa", "Cx.*"]}, "then_mapping": "C1", "else_mapping": "C2"},
        If("regexp", Field("a"), Constant("x.*"), Constant("1"), Constant("2")),
        id="if regexp",
    ),
    pytest.param(
        {"for_field": "ips", "for_mapping": "Pip"},
        ForEach(Field("ips"), Field("ip")),
        id="a list by the name of a property",
    ),
    pytest.param(
        {"for_field": "Pips", "for_mapping": "Pip"},
        ForEach(Field("Pips"), Field("ip")),
        id="a text in for_field is always a name",
    ),
    pytest.param(
        {
            "for_field": {"field": "ips", "path": ["a_id"]},
            "for_mapping": {"for_field": "x", "for_mapping": "Py"},
        },
        ForEach(Field("ips", (Hop("a_id"),)), ForEach(Field("x"), Field("y"))),
        id="a list in a list, of another resource",
    ),
]


@pytest.mark.parametrize(("mapping", "tree"), FORMS)
def test_a_mapping_parses(mapping: Any, tree: Node) -> None:
    assert parse(mapping) == tree


def nested(depth: int) -> Any:
    mapping: Any = "Pa"
    for _ in range(depth):
        mapping = {"for_field": "x", "for_mapping": mapping}
    return mapping


ERRORS: list[Any] = [
    pytest.param("", "mapping '': is empty", id="empty"),
    pytest.param(
        "Xname",
        "mapping 'Xname': starts with 'X'; known are A, C, F, M, O, P and V",
        id="unknown letter",
    ),
    pytest.param("pname", "mapping 'pname': starts with 'p'", id="small letter"),
    pytest.param("P", "mapping 'P': expected the name of a property", id="no name"),
    pytest.param(
        "Oprimary",
        "mapping 'Oprimary': expected O<object property>:<its property>",
        id="O without colon",
    ),
    pytest.param("O:ip", "mapping 'O:ip': expected O<object property>", id="O without object"),
    pytest.param("Fname", "mapping 'Fname': expected F<type>+<id property>", id="F without hop"),
    pytest.param("Fa+a_id:", "mapping 'Fa+a_id:': expected F<type>", id="F without field"),
    pytest.param(
        "Fa:name", "mapping 'Fa:name': hop 'a' is not <type>+<id property>", id="F with half a hop"
    ),
    pytest.param("Fa+:name", "hop 'a+' is not <type>+<id property>", id="F with a hop without id"),
    pytest.param(
        "Mnetwork:id",
        "mapping 'Mnetwork:id': expected M<type>:<id property>:<output key>",
        id="M too short",
    ),
    pytest.param(
        "Ma:a_id:b:id", "mapping 'Ma:a_id:b:id': expected M<type>", id="M with half a hop"
    ),
    pytest.param("Ma:a_id:", "mapping 'Ma:a_id:': expected M<type>", id="M without key"),
    pytest.param(
        "V", "mapping 'V': the only version there is is 'auto_filled'", id="V without word"
    ),
    pytest.param("Vversion", "mapping 'Vversion': the only version", id="V with another word"),
    pytest.param("APa&Xb", "mapping 'Xb': starts with 'X'", id="the part at fault is quoted"),
    pytest.param("A", "mapping '': is empty", id="a concatenation of nothing"),
    pytest.param(3, "mapping 3: expected a short string", id="a number"),
    pytest.param(None, "mapping None: expected a short string", id="null"),
    pytest.param(["Pa"], "mapping ['Pa']: expected a short string", id="a list"),
    pytest.param({}, "mapping {}: its keys fit none of", id="an empty object"),
    pytest.param(
        {"feild": "a"}, "mapping {'feild': 'a'}: its keys fit none of", id="a misspelt key"
    ),
    pytest.param({"field": "a", "constant": 1}, "its keys fit none of", id="two kinds at once"),
    pytest.param(
        {"field": 3},
        "mapping {'field': 3}: field must be the name of a property",
        id="a field that is no text",
    ),
    pytest.param(
        {"field": "a", "path": "b"}, "path must be a list of hops", id="a path that is no list"
    ),
    pytest.param(
        {"field": "a", "path": [{"type": "b"}]},
        "hop {'type': 'b'} is neither",
        id="a hop without id",
    ),
    pytest.param({"field": "a", "path": [""]}, "hop '' is neither", id="an empty hop"),
    pytest.param(
        {"output_key": "a", "path": []},
        "path must not be empty",
        id="an output of the resource itself",
    ),
    pytest.param(
        {"output_key": 1, "path": ["a"]},
        "expected the name of a property",
        id="an output key that is no text",
    ),
    pytest.param(
        {"field": "a", "ignore_missing": "yes"},
        "ignore_missing must be true or false",
        id="ignore_missing as text",
    ),
    pytest.param(
        {"version": "1"}, "mapping {'version': '1'}: the only version", id="a version number"
    ),
    pytest.param(
        {"if_mapping": {"equals": ["Pa", "Pb"]}, "then_mapping": "Pa", "else_mapping": "Pb"},
        "if_mapping must be one of",
        id="no test",
    ),
    pytest.param(
        {"if_mapping": {"equal": ["Pa"]}, "then_mapping": "Pa", "else_mapping": "Pb"},
        "if_mapping must be one of",
        id="one side",
    ),
    pytest.param(
        {"if_mapping": {"equal": ["Pa", "Pb"]}, "then_mapping": "Pa"},
        "its keys fit none of",
        id="no else",
    ),
    pytest.param(
        {"if_mapping": {"regexp": ["Pa", "C("]}, "then_mapping": "Pa", "else_mapping": "Pb"},
        "regular expression '('",
        id="bad regexp",
    ),
    pytest.param(
        {"for_field": "x", "for_mapping": "Xy"},
        "mapping 'Xy': starts with 'X'",
        id="a fault deep inside is quoted",
    ),
    pytest.param(
        {"for_field": 3, "for_mapping": "Py"}, "mapping 3: expected", id="for_field as number"
    ),
    pytest.param(nested(40), "nested deeper than 32 levels", id="too deep"),
]


@pytest.mark.parametrize(("mapping", "text"), ERRORS)
def test_what_does_not_parse_is_quoted(mapping: Any, text: str) -> None:
    with pytest.raises(MappingSyntaxError) as caught:
        parse(mapping)
    assert text in str(caught.value)


def test_nesting_up_to_the_limit_parses() -> None:
    assert isinstance(parse(nested(32)), ForEach)
