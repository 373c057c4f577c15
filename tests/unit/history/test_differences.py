"""What differs between two documents, and what of it may be shown."""

from __future__ import annotations

import pytest
from orchestrator.core.refs import Json
from orchestrator.history.differences import ABSENT, NOTHING, Difference, Side, between


def plain(value: Json) -> Side:
    return Side(value, value)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Difference("a", 1, 2)]),
        ({}, {"a": None}, [Difference("a", NOTHING, None)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, [Difference("a.b[1]", 2, NOTHING)]),
        ({"a": 1}, {"a": True}, [Difference("a", 1, True)]),
        ({"a": [1]}, {"a": {"b": 1}}, [Difference("a", [1], {"b": 1})]),
    ],
    ids=["the same", "changed", "new and null", "gone", "1 is not true", "another form"],
)
def test_each_value_that_differs_is_told_with_its_path(
    before: Json, after: Json, expected: list[Difference]
) -> None:
    assert between(plain(before), plain(after)) == expected


def test_a_secret_that_has_changed_is_told_and_not_shown() -> None:
    before, after = (
        Side({"p": "one", "q": 1}, {"p": "***", "q": 1}),
        Side({"p": "two"}, {"p": "***"}),
    )

    first, second = between(before, after)

    assert (first.path, first.masked, first.before) == ("p", True, "***")
    assert (second.path, second.masked) == ("q", False)


def test_what_is_masked_as_a_whole_is_compared_as_a_whole() -> None:
    before = Side({"secret": {"a": "x"}}, {"secret": "***"})
    after = Side({"secret": {"a": "y"}}, {"secret": "***"})

    (difference,) = between(before, after)

    assert (difference.path, difference.after) == ("secret", "***")


def test_a_new_document_is_one_difference() -> None:
    assert between(ABSENT, plain({"a": 1})) == [Difference("", NOTHING, {"a": 1})]


def test_many_differences_are_bounded() -> None:
    many = {str(number): number for number in range(5000)}

    assert len(between(plain({}), plain(many))) == 2000
