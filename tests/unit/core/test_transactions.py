"""What fits into one transaction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core.transactions import (
    LARGEST,
    MOST_OPERATIONS,
    Transaction,
    absent,
    exists,
    grouped,
    merged,
)


def writing(*keys: str, value: str = "", requires: int = 0) -> Transaction:
    return Transaction(tuple(exists(f"/r{n}") for n in range(requires)), dict.fromkeys(keys, value))


def test_what_has_nothing_to_do_with_each_other_goes_together() -> None:
    assert grouped(
        [(writing("/a"), ["/x"]), (writing("/b"), ["/x"]), (Transaction(deletes=("/c",)), [])]
    ) == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((writing("/a"), []), (writing("/a"), []), id="both write it"),
        pytest.param(
            (writing("/a"), []), (Transaction(deletes=("/a",)), []), id="one writes, one removes it"
        ),
        pytest.param(
            (writing("/a"), []),
            (writing("/b"), ["/a"]),
            id="the second would read what the first writes",
        ),
        pytest.param(
            (writing("/a"), ["/b"]),
            (writing("/b"), []),
            id="the first would read what the second writes",
        ),
        pytest.param(
            (writing("/a", requires=100), []),
            (writing("/b", requires=100), []),
            id="too many comparisons",
        ),
        pytest.param(
            (writing("/a"), [f"/{n}" for n in range(100)]),
            (writing("/b"), [f"/{n}" for n in range(30)]),
            id="too many",
        ),
        pytest.param(
            (writing("/a", value="x" * LARGEST), []), (writing("/b", value="y"), []), id="too large"
        ),
    ],
)
def test_what_does_not_fit_goes_after(first: object, second: object) -> None:
    assert grouped([first, second]) == [[0], [1]]  # type: ignore[list-item]


def test_one_that_is_too_large_by_itself_is_not_lost() -> None:
    assert grouped([(writing("/a", value="x" * 2 * LARGEST), [])]) == [[0]]


def test_nothing_is_no_group() -> None:
    assert grouped([]) == []


_KEYS = st.sampled_from([f"/{n}" for n in range(300)])
_WANTED = st.lists(
    st.tuples(
        st.builds(
            lambda puts, deletes, requires: Transaction(
                tuple(map(absent, requires)), dict.fromkeys(puts, "v"), tuple(deletes)
            ),
            st.sets(_KEYS, max_size=6),
            st.sets(_KEYS, max_size=6),
            st.sets(_KEYS, max_size=9),
        ),
        st.lists(_KEYS, max_size=9, unique=True),
    ),
    max_size=40,
)


@given(_WANTED)
def test_groups_are_in_order_and_within_what_etcd_takes(
    wanted: list[tuple[Transaction, list[str]]],
) -> None:
    groups = grouped(wanted)

    assert [position for group in groups for position in group] == list(range(len(wanted)))
    for group in groups:
        whole = merged(wanted[position][0] for position in group)
        reads = sum(len(wanted[position][1]) for position in group)
        assert len(whole.requires) <= MOST_OPERATIONS
        assert len(whole.puts) + len(set(whole.deletes)) + reads <= MOST_OPERATIONS + 12 * (
            len(group) == 1
        )
        writes = [
            wanted[position][0].puts.keys() | set(wanted[position][0].deletes) for position in group
        ]
        assert sum(map(len, writes)) == len(set().union(*writes))
