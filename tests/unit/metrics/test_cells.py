"""The numbers of a program: counted in a row, summed over processes, shown for Prometheus."""

from __future__ import annotations

import os
import re
import threading
import urllib.request

import pytest
from orchestrator.errors import SettingsError
from orchestrator.events import EventCounts, EventName
from orchestrator.metrics.cells import Cells, layout
from orchestrator.metrics.serving import metrics_page, serve
from orchestrator.metrics.shapes import (
    LATENCIES,
    AnswerKind,
    Kind,
    Metric,
    Program,
    RequestKind,
    TaskPlace,
    of_program,
)
from orchestrator.metrics.shared import SharedRows
from orchestrator.metrics.showing import Exposition
from tasks.measuring import WorkerMetrics

CHAIN = Metric.WORKER_CHAIN.value.name


def sample(shown: Exposition, name: str, **labels: str) -> float:
    found = shown.registry.get_sample_value(name, labels)
    assert found is not None, f"{name} is not shown"
    return found


def exposed(cells: Cells) -> Exposition:
    return Exposition(cells.program, lambda: [cells.row])


def test_a_histogram_counts_each_time_in_the_buckets_that_are_not_shorter() -> None:
    cells = Cells(Program.WORKER)
    for seconds in (0.0, 0.005, 0.006, 2000.0):
        cells.histogram(Metric.WORKER_CHAIN).observe(seconds)
    shown = exposed(cells)

    assert sample(shown, f"{CHAIN}_bucket", le="0.005") == 2
    assert sample(shown, f"{CHAIN}_bucket", le="0.01") == 3
    assert sample(shown, f"{CHAIN}_bucket", le="1800.0") == 3
    assert sample(shown, f"{CHAIN}_bucket", le="+Inf") == 4
    assert sample(shown, f"{CHAIN}_count") == 4
    assert sample(shown, f"{CHAIN}_sum") == pytest.approx(2000.011)


def test_no_two_numbers_of_a_program_lie_in_the_same_place() -> None:
    for program in Program:
        found = layout(program)
        taken: set[int] = {0}
        for (metric, _), at in found.at.items():
            numbers = len(LATENCIES) + 2 if metric.value.kind is Kind.HISTOGRAM else 1
            places = set(range(at, at + numbers))
            assert not places & taken
            taken |= places
        assert taken == set(range(found.size))


def test_many_threads_lose_no_count() -> None:
    cells = Cells(Program.WORKER)
    number = cells.number(Metric.WORKER_ANSWERS, AnswerKind.DONE)

    def count() -> None:
        for _ in range(2000):
            number.add()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    name = Metric.WORKER_ANSWERS.value.shown
    assert sample(exposed(cells), name, answer="done") == 8000


def test_what_processes_counted_is_shown_in_one_sum_also_of_those_that_are_gone() -> None:
    rows = SharedRows(Program.WORKER, most=4)
    for index in (0, 1, 0):  # The last one goes on in the row of the first.
        if not (child := os.fork()):
            cells = Cells(Program.WORKER)
            cells.keep_in(rows.row(index))
            cells.number(Metric.WORKER_ANSWERS, AnswerKind.DONE).add(10.0)
            cells.number(Metric.WORKER_TASKS, TaskPlace.SLOT).add()
            cells.histogram(Metric.WORKER_CHAIN).observe(0.5)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    shown = Exposition(Program.WORKER, rows.used)

    assert sample(shown, Metric.WORKER_ANSWERS.value.shown, answer="done") == 30
    assert sample(shown, f"{CHAIN}_count") == 3
    assert sample(shown, Metric.WORKER_TASKS.value.name, place="slot") == 2, (
        "what a process was doing ends with it"
    )


def test_events_are_counted_in_memory_that_is_given_later() -> None:
    events = EventCounts()
    events.count(EventName.HELD)
    row = [0.0] * (len(EventName) + 5)
    events.keep_in(row, 5)
    events.count(EventName.JOB_DONE)

    assert events.read() == {EventName.JOB_DONE: 1}
    assert sum(row) == 1.0


@pytest.mark.parametrize(
    ("method", "status", "request_kind", "answer"),
    [
        ("GET", 200, RequestKind.READ, AnswerKind.DONE),
        ("POST", 201, RequestKind.CREATE, AnswerKind.DONE),
        ("PUT", 409, RequestKind.UPDATE, AnswerKind.REFUSED),
        ("DELETE", 503, RequestKind.DELETE, AnswerKind.FAILED),
        ("GET", 0, RequestKind.READ, AnswerKind.FAILED),
    ],
)
def test_a_request_to_heat_is_counted_by_its_kind_and_answer(
    method: str, status: int, request_kind: RequestKind, answer: AnswerKind
) -> None:
    metrics = WorkerMetrics()
    metrics.note_request(method, status, 0.2)
    shown = exposed(metrics.cells)

    name = Metric.WORKER_REQUEST.value.name
    assert sample(shown, f"{name}_count", request=request_kind) == 1
    assert sample(shown, Metric.WORKER_ANSWERS.value.shown, answer=answer) == 1


def test_a_worker_answers_with_what_it_has_measured() -> None:
    metrics = WorkerMetrics()
    metrics.serve("127.0.0.1", 0)
    metrics.slots.set(4)
    metrics.poll.observe(0.1)
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")

    assert "orchestrator_worker_slots 4.0" in text
    assert "orchestrator_worker_poll_seconds_count 1.0" in text


def test_a_port_that_is_taken_is_refused_with_the_name_of_its_setting() -> None:
    pages = {"/metrics": metrics_page(exposed(Cells(Program.HISTORIAN)).text)}
    first = serve(pages, "127.0.0.1", 0, "ORCHESTRATOR_X")
    try:
        with pytest.raises(SettingsError, match=r"ORCHESTRATOR_X: cannot listen on 127\.0\.0\.1"):
            serve(pages, "127.0.0.1", first.server_address[1], "ORCHESTRATOR_X")
    finally:
        first.shutdown()
        first.server_close()


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in Metric:
        shape = metric.value
        assert re.fullmatch(r"orchestrator(_[a-z]+)+", shape.name), shape
        assert not shape.name.endswith("_total"), "it is added where the metric is shown"
        assert (shape.kind is Kind.HISTOGRAM) <= shape.name.endswith("_seconds"), shape
        assert re.fullmatch(r"[A-Z0-9].*\.", shape.text), shape
        assert bool(shape.values) <= (len(shape.labels) == 1), shape
    assert sum(len(of_program(program)) for program in Program) == len(Metric)
