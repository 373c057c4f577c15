"""Traces: one for each version of a resource, joined by ids that nobody hands on."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from orchestrator.core.refs import Ref
from orchestrator.core.rendering import StackRequest
from orchestrator.tracing.identity import VersionTrace, of_version
from orchestrator.tracing.spans import Tracer

from tests.doubles import ManualClock

from .driver import System, WorkerDied, complete

NETWORK, PORT = Ref("network", "n1"), Ref("port", "p1")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def system(exporter: InMemorySpanExporter) -> Iterator[System]:
    clock = ManualClock()
    tracer = Tracer(SimpleSpanProcessor(exporter), "test", clock.clock)
    with System(clock=clock, tracer=tracer) as running:
        yield running


def version_of(system: System, ref: Ref, version: int = 1) -> VersionTrace:
    """The trace, by what an API server knows."""
    key = system.keys.below(system.keys.config, ref)
    found = system.store.get(key)
    assert found is not None
    return of_version(key, found.created, version, ref)


def by_trace(exporter: InMemorySpanExporter) -> dict[int, list[ReadableSpan]]:
    found: dict[int, list[ReadableSpan]] = defaultdict(list)
    for span in exporter.get_finished_spans():
        found[span.context.trace_id].append(span)
    return dict(found)


def names(spans: list[ReadableSpan]) -> Counter[str]:
    return Counter(span.name for span in spans)


def test_the_ids_are_derived_as_the_documentation_says() -> None:
    key = "/config/v2.0/networks/n1"
    digest = hashlib.sha256(b"/config/v2.0/networks/n1\n142\n3").hexdigest()
    version = of_version(key, 142, 3, NETWORK)

    assert f"{version.trace:032x}" == digest[:32]
    assert f"{version.root:016x}" == digest[32:48]


def test_a_version_has_one_trace_with_its_whole_way(
    system: System, exporter: InMemorySpanExporter
) -> None:
    system.put(NETWORK)
    system.put(PORT, network_id="n1")
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)) and system.idle())
    system.cycle()
    traces = by_trace(exporter)
    network, port = (version_of(system, ref) for ref in (NETWORK, PORT))

    assert set(traces) == {network.trace, port.trace}
    for version, way in ((network, {"decide"}), (port, {"decide", "depend"})):
        spans = traces[version.trace]
        assert names(spans).keys() >= way | {"send", "pickup", "heat", "submit", "record"}
        (root,) = (span for span in spans if span.name == "version")
        assert (root.context.span_id, root.parent) == (version.root, None)
        within = {span.parent.span_id for span in spans if span.parent is not None}
        assert within == {version.root}
        assert root.start_time is not None
        assert root.end_time is not None
        assert root.end_time > root.start_time
        assert root.attributes is not None
        assert root.attributes["orchestrator.resource"] == str(version.ref)


def test_jobs_that_share_a_message_have_a_trace_each(
    system: System, exporter: InMemorySpanExporter
) -> None:
    refs = [Ref("network", f"n{number}") for number in range(40)]
    for ref in refs:
        system.put(ref)
    system.until(
        lambda: all(system.worker_state(ref) for ref in refs) and system.idle(), "all built"
    )
    system.cycle()
    shared = [message for message in system.taken if len(message.argument) == 8]
    traces = by_trace(exporter)

    assert shared, "eight jobs were in one message"
    assert set(traces) == {version_of(system, ref).trace for ref in refs}
    for spans in traces.values():
        assert names(spans)["version"] == names(spans)["submit"] == 1


def test_another_version_is_another_trace_and_a_resync_is_none(
    system: System, exporter: InMemorySpanExporter
) -> None:
    system.put(NETWORK)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.put(NETWORK)
    system.put(NETWORK, 2, mtu=9000)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())
    system.cycle()

    versions = {version_of(system, NETWORK, number).trace for number in (1, 2)}
    assert set(by_trace(exporter)) == versions


def test_a_new_leader_goes_on_with_the_trace(
    system: System, exporter: InMemorySpanExporter
) -> None:
    system.outcome = lambda stack: None
    system.put(NETWORK)
    system.until(lambda: bool(system.heat.working()))
    system.stop()
    system.start()
    system.outcome = complete
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.cycle()
    ((trace, spans),) = by_trace(exporter).items()

    assert trace == version_of(system, NETWORK).trace
    assert names(spans)["version"] == 1


def test_a_worker_that_goes_on_for_a_dead_one_joins_its_trace(
    system: System, exporter: InMemorySpanExporter
) -> None:
    system.heat.fail_next(WorkerDied(), "create", performed=True)
    system.put(NETWORK)
    system.until(lambda: system.deaths == 1)
    system.store.expire_abandoned()
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.cycle()
    ((trace, spans),) = by_trace(exporter).items()

    assert trace == version_of(system, NETWORK).trace
    assert names(spans)["submit"] >= 1


def test_a_failure_is_an_error_of_the_root_and_has_no_words(
    system: System, exporter: InMemorySpanExporter
) -> None:
    system.outcome = lambda stack: {"status": "FAILED", "reason": "the secret is 1234"}
    system.put(NETWORK)
    system.put(PORT, network_id="n1")
    system.until(lambda: system.state(PORT) is not None and system.idle())
    system.cycle()
    roots = {
        span.context.trace_id: span.status.description
        for span in exporter.get_finished_spans()
        if span.name == "version"
    }

    assert roots == {
        version_of(system, NETWORK).trace: "heat",
        version_of(system, PORT).trace: "dependency",
    }


def test_requests_to_heat_lie_within_the_step_that_made_them(
    system: System, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces, create = system.worker.traces, system.heat.create
    assert traces is not None

    def asked_for(request: StackRequest, tag: str) -> str:
        traces.note_request("POST", 201, 0.25)
        return create(request, tag)

    monkeypatch.setattr(system.heat, "create", asked_for)
    system.put(NETWORK)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    (step,) = (span for span in exporter.get_finished_spans() if span.name == "submit")
    (asked,) = (span for span in exporter.get_finished_spans() if span.name == "heat POST")

    assert asked.parent is not None
    assert asked.parent.span_id == step.context.span_id
    assert asked.attributes is not None
    assert asked.attributes["http.response.status_code"] == 201
    assert asked.end_time is not None
    assert asked.start_time is not None
    assert asked.end_time - asked.start_time == pytest.approx(0.25e9, rel=0.01)
