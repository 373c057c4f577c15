"""Which endpoint comes next."""

from __future__ import annotations

import pytest
from orchestrator.clients.etcd import connection
from orchestrator.clients.etcd.connection import Endpoints

from tests.doubles import ManualClock

A, B, C = "a:1", "b:1", "c:1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_the_one_in_use_is_kept(clock: ManualClock) -> None:
    endpoints = Endpoints((A, B, C), clock.clock)

    assert [endpoints.choose() for _ in range(3)] == [A, A, A]


def test_the_next_one_follows_a_failure(clock: ManualClock) -> None:
    endpoints = Endpoints((A, B, C), clock.clock)
    endpoints.failed(A)

    assert [endpoints.choose(), endpoints.choose()] == [B, B]


def test_one_that_failed_is_avoided_for_a_while(clock: ManualClock) -> None:
    endpoints = Endpoints((A, B, C), clock.clock)
    endpoints.failed(B)
    endpoints.failed(C)
    endpoints.failed(A)
    clock.pass_(connection.AVOIDED_FOR - 1)
    endpoints.failed(A)
    clock.pass_(2)

    assert endpoints.choose() == B


def test_when_all_have_failed_it_is_the_one_that_failed_first(clock: ManualClock) -> None:
    endpoints = Endpoints((A, B, C), clock.clock)
    for endpoint in (B, C, A):
        endpoints.failed(endpoint)
        clock.pass_(1)

    assert endpoints.choose() == B


def test_a_single_endpoint_is_always_chosen(clock: ManualClock) -> None:
    endpoints = Endpoints((A,), clock.clock)
    endpoints.failed(A)

    assert endpoints.choose() == A
