"""Patches lead from the one document to the other, whatever the documents are."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core.forecast import patches
from orchestrator.core.forecast.patches import PatchOperation

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("a~/b", max_size=2), inner),
    max_leaves=12,
)
BODIES = st.dictionaries(st.text("ab~/", max_size=2), VALUES, max_size=4)


def applied(document: Any, operations: Sequence[PatchOperation]) -> Any:
    """The document after a patch, as RFC 6902 has it: a second reading of the same words."""
    found = copy.deepcopy(document)
    for told in (json.loads(json.dumps(operation.to_json())) for operation in operations):
        names = [name.replace("~1", "/").replace("~0", "~") for name in told["path"].split("/")[1:]]
        if not names:
            found = told.get("value")
            continue
        place = found
        for name in names[:-1]:
            place = place[int(name)] if isinstance(place, list) else place[name]
        last = int(names[-1]) if isinstance(place, list) else names[-1]
        if told["op"] == "remove":
            del place[last]
        elif told["op"] == "add" and isinstance(place, list):
            assert last <= len(place)
            place.insert(last, told["value"])
        else:
            assert told["op"] == "add" or last in place or isinstance(place, list)
            place[last] = told["value"]
    return found


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(BODIES, BODIES)
def test_a_patch_makes_the_one_body_of_the_other(before: Any, after: Any) -> None:
    assert same(applied(before, patches.diff(before, after)), after)


@given(BODIES)
def test_there_is_no_difference_between_a_body_and_itself(body: Any) -> None:
    assert patches.diff(body, copy.deepcopy(body)) == ()


@given(BODIES, BODIES)
def test_an_operation_is_read_back_as_it_was_told(before: Any, after: Any) -> None:
    for operation in patches.diff(before, after):
        assert PatchOperation.from_json(operation.to_json()).to_json() == operation.to_json()
