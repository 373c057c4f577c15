"""JSON with lines: what is refused, and where each part stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core.source import SourceError, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


def test_documents_stand_one_after_the_other() -> None:
    found = read_json('{"a": 1}\n[2]\n\n3 "x"')

    assert [(document.value, document.line) for document in found] == [
        ({"a": 1}, 1),
        ([2], 2),
        (3, 4),
        ("x", 4),
    ]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('{"a": 1,\n "b": {"c": 1,\n "c": 2}}', 3, "key 'c' is there twice"),
        ('{"a":\n NaN}', 2, "JSON has no such number"),
        ("[1,\n 2,\n -Infinity]", 3, "JSON has no such number"),
        ('{"a": [1,\n 1e999]}', 2, "out of range"),
        ('{"a":\n' + "9" * 5000 + "}", 2, "out of range"),
        ('{"a":\n', 2, "Expecting value"),
        ("[" * 100_000, 1, "nested deeper"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", 1, "nested deeper"),
    ],
)
def test_what_json_does_not_have_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(SourceError) as raised:
        read_json(text)

    assert raised.value.line == line
    assert why in raised.value.why


@given(VALUES)
def test_every_part_knows_its_line(value: Any) -> None:
    """Written with one part a line, the lines count up in the order of the parts."""
    (document,) = read_json(json.dumps(value, indent=1))

    lines = [document.line_of(path) for path in _paths(value, ())]
    assert document.value == value
    assert lines == sorted(lines)
    assert len(set(lines)) == len(lines)


def _paths(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    entries = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [
        found for name, inner in entries for found in [(*path, name), *_paths(inner, (*path, name))]
    ]


def test_a_part_that_is_not_there_has_the_line_of_what_stands_above_it() -> None:
    (document,) = read_json('{"a": 1,\n"b": {"c": 1}}')

    assert document.line_of(("b", "nothing")) == 2
    assert document.line_of(("nothing",)) == 1
