"""Which endpoint comes next."""

from __future__ import annotations

import time

import pytest
from orchestrator.clients.etcd import connection
from orchestrator.clients.etcd.connection import Endpoints

A, B, C = "a:1", "b:1", "c:1"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock; its only item is the time."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_one_in_use_is_kept(clock: list[float]) -> None:
    endpoints = Endpoints((A, B, C))

    assert [endpoints.choose() for _ in range(3)] == [A, A, A]


def test_the_next_one_follows_a_failure(clock: list[float]) -> None:
    endpoints = Endpoints((A, B, C))
    endpoints.failed(A)

    assert [endpoints.choose(), endpoints.choose()] == [B, B]


def test_one_that_failed_is_avoided_for_a_while(clock: list[float]) -> None:
    endpoints = Endpoints((A, B, C))
    endpoints.failed(B)
    endpoints.failed(C)
    endpoints.failed(A)
    clock[0] += connection.AVOIDED_FOR - 1
    endpoints.failed(A)
    clock[0] += 2

    assert endpoints.choose() == B


def test_when_all_have_failed_it_is_the_one_that_failed_first(clock: list[float]) -> None:
    endpoints = Endpoints((A, B, C))
    for endpoint in (B, C, A):
        endpoints.failed(endpoint)
        clock[0] += 1

    assert endpoints.choose() == B


def test_a_single_endpoint_is_always_chosen(clock: list[float]) -> None:
    endpoints = Endpoints((A,))
    endpoints.failed(A)

    assert endpoints.choose() == A
