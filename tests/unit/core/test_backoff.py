"""Back-off: intervals that grow to a maximum, and jitter around them."""

from __future__ import annotations

import pytest
from orchestrator.core.backoff import Backoff


def test_intervals_grow_to_the_maximum() -> None:
    backoff = Backoff(initial=1.0, maximum=10.0)

    assert [backoff.interval(n) for n in (1, 2, 3, 4, 5, 10_000)] == [
        1.0,
        2.0,
        4.0,
        8.0,
        10.0,
        10.0,
    ]


def test_the_coefficient_says_how_fast() -> None:
    assert [Backoff(1.0, 100.0, coefficient=3.0).interval(n) for n in (1, 2, 3)] == [1.0, 3.0, 9.0]
    assert [Backoff(5.0, 5.0).interval(n) for n in (1, 2)] == [5.0, 5.0]


@pytest.mark.parametrize(("chance", "interval"), [(0.0, 5.0), (0.5, 10.0), (1.0, 15.0)])
def test_jitter_spreads_around_the_interval(chance: float, interval: float) -> None:
    assert Backoff(10.0, 10.0, jitter=0.5).interval(3, chance) == interval
