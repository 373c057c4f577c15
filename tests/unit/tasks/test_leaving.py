"""A task leaves its slot when it only waits, and what it has begun goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from orchestrator.errors import HeatUnavailable, StoreUnavailable
from tasks.leaving import Background, Defect, Work

PATIENCE = 20.0


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """What work waits for; it goes on after the test in any case."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def background() -> Background:
    return Background(prompt=0.05)


def work(do: Callable[[], object], leaving: Any = None) -> Work:
    return Work("orchestrator.submit", ["t1/job"], do, leaving)


def waiting(event: threading.Event) -> Callable[[], object]:
    return lambda: event.wait(PATIENCE)


def test_work_that_ends_soon_is_over_when_the_slot_is_free() -> None:
    done: list[int] = []
    background = Background(prompt=PATIENCE)
    background.carry_out(work(lambda: done.append(1)))

    assert done == [1]
    assert background.going_on == 0


def test_work_that_waits_frees_its_slot_and_goes_on(
    background: Background, let_go: threading.Event
) -> None:
    over = threading.Event()

    def do() -> None:
        let_go.wait(PATIENCE)
        over.set()

    background.carry_out(work(do))

    assert not over.is_set() and background.going_on == 1
    let_go.set()
    background.close(PATIENCE)
    assert over.is_set() and background.going_on == 0


def test_what_is_to_be_known_of_it_is_told_when_it_leaves_and_taken_back_when_it_is_over(
    background: Background, let_go: threading.Event
) -> None:
    told: list[str] = []
    undone = threading.Event()

    def leaving() -> Callable[[], None]:
        told.append("goes on")
        return undone.set

    background.carry_out(work(waiting(let_go), leaving))
    assert told == ["goes on"] and not undone.is_set()
    let_go.set()

    assert undone.wait(PATIENCE)


def test_nothing_is_told_of_work_that_ends_in_its_slot() -> None:
    told: list[int] = []
    Background(prompt=PATIENCE).carry_out(work(lambda: None, lambda: told.append(1)))

    assert told == []


def test_when_it_cannot_be_told_the_work_goes_on(
    background: Background, let_go: threading.Event
) -> None:
    def leaving() -> Any:
        raise StoreUnavailable("etcd is away")

    background.carry_out(work(waiting(let_go), leaving))

    assert background.going_on == 1


def test_no_more_goes_on_than_may(let_go: threading.Event) -> None:
    """One more keeps its slot until it is over."""
    background = Background(prompt=0.01, most=2)
    kept = threading.Event()

    def keep() -> None:
        background.carry_out(work(waiting(let_go)))
        kept.set()

    for _ in range(2):
        background.carry_out(work(waiting(let_go)))
    thread = threading.Thread(target=keep)
    thread.start()
    assert not kept.wait(0.3) and background.going_on == 2
    let_go.set()

    assert kept.wait(PATIENCE)


def test_of_one_kind_no_second_is_begun_while_the_first_goes_on(
    background: Background, let_go: threading.Event
) -> None:
    done: list[str] = []
    first = Work("orchestrator.poll", "t1", waiting(let_go), kind="poll t1")
    background.carry_out(first)
    background.carry_out(Work("orchestrator.poll", "t1", lambda: done.append("t1"), kind="poll t1"))
    background.carry_out(Work("orchestrator.poll", "t2", lambda: done.append("t2"), kind="poll t2"))
    assert done == ["t2"]
    let_go.set()
    background.close(PATIENCE)
    background.carry_out(Work("orchestrator.poll", "t1", lambda: done.append("t1"), kind="poll t1"))

    assert done == ["t2", "t1"]


def test_a_temporary_error_is_told_and_no_failure(
    background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise HeatUnavailable("Heat answers 503" + "x" * 100_000)

    background.carry_out(work(fail))

    (record,) = caplog.records
    assert vars(record)["event"] == "task_gave_way" and record.levelno == logging.WARNING
    assert len(vars(record)["reason"]) < 5000


def quoting() -> None:
    try:
        int("hunter2")
    except ValueError as error:
        raise KeyError("hunter2") from error


def test_celery_is_told_the_kind_of_a_defect_and_nothing_that_it_might_quote(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It sends an exception's words, and those of its causes, to whoever listens to its events."""
    with pytest.raises(Defect) as told:
        Background(prompt=PATIENCE).carry_out(work(quoting))

    assert str(told.value) == "KeyError"
    assert told.value.__cause__ is None and told.value.__suppress_context__
    assert [vars(record)["event"] for record in caplog.records] == ["task_defect"]


def test_a_defect_of_work_that_left_is_told_in_the_log(
    background: Background, let_go: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        let_go.wait(PATIENCE)
        raise ZeroDivisionError

    background.carry_out(work(fail))
    let_go.set()
    background.close(PATIENCE)

    assert "task_defect" in [vars(record).get("event") for record in caplog.records]


def test_a_process_that_ends_waits_for_it_only_so_long(
    background: Background, let_go: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    background.carry_out(work(waiting(let_go)))
    background.close(grace=0.05)

    assert "tasks_broken_off" in [vars(record).get("event") for record in caplog.records]
