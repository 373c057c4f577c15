"""Night: how long each question of an operator takes among many resources of which some failed."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.effects import JobOutcome
from orchestrator.core.jobs import Action
from orchestrator.core.keys import Keys
from orchestrator.core.records import Failed, Run, StackRecord, StateRecord, Step
from orchestrator.core.refs import JobId, Ref

from .. import filling
from ..ground import Ground, document, ground
from ..measuring import percentile
from ..report import BenchResult

_ERRORS = {
    "quota": "Heat refused the request (403): Quota exceeded for resources: ['port']",
    "image": "The stack failed (CREATE_FAILED): Image cirros-0.4 could not be found.",
    "vlans": "The stack failed (CREATE_FAILED): No more VLANs in physnet1.",
}
"""Three causes, of ten resources each."""
_LIMIT = {500: 2.0, 50_000: 4.0}
"""Seconds that each question may take, by the number of resources."""
_FIRST = "failed-quota-0"
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "what is wrong, since when, why, and who works": ("status",),
    "which resources of a tenant failed": ("get", "--failed", "--tenant", "t03"),
    "what is held, and for how long": ("get", "--held", "--sort", "age", "-o", "wide"),
    "what runs": ("get", "--running"),
    "everything about one": ("get", "node", _FIRST),
    "what stands on it": ("graph", "node", _FIRST),
    "all of it, for a script": ("status", "-o", "json"),
}
"""By question, the command that answers it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resources", type=int, nargs="+", default=[500, 50_000], help="in etcd, one after another"
    )
    parser.add_argument("--times", type=int, default=5, help="each question is asked so often")


def _wrong(keys: Keys) -> Iterator[tuple[str, str]]:
    """Thirty that failed for three causes, an hour ago, and two that Heat does not end."""
    since = time.time() - 3_600
    for cause, error in _ERRORS.items():
        for number in range(10):
            ref, tenant = Ref("node", f"failed-{cause}-{number}"), f"t{number:02}"
            ended = JobOutcome("CREATE_FAILED", reason=error, error=error)
            failed = Failed(1, Action.CREATE, error, ref, since=since)
            state = StateRecord.of(Action.CREATE, ended.status, (), 1, error)
            stack = StackRecord.of(ref, tenant, ended.status, (), error)
            yield _config(keys, ref, tenant)
            yield keys.below(keys.failed, ref), failed.to_json()
            yield keys.below(keys.state, ref), state.to_json()
            yield keys.below(keys.stacks, ref), stack.to_json()
    for number in range(2):
        ref, tenant = Ref("node", f"stuck-{number}"), "t05"
        job = JobId(f"create:heat_worker:{ref}:1:00000")
        run = Run(Step.IN_HEAT, "uuid", since=since - 60, asked_at=since - 60)
        yield _config(keys, ref, tenant)
        yield keys.run(tenant, job), run.to_json()


def _config(keys: Keys, ref: Ref, tenant: str) -> tuple[str, str]:
    body = {"id": ref.id, "tenant_id": tenant, "name": ref.id}
    return keys.below(keys.config, ref), document(body)


def _ask(running: Ground, command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds of one command, and its CPU seconds; the start of its process included."""
    code = "from orchestrator.cli import main; main()"
    before, started = _cpu(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        env={**os.environ, **running.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode not in (0, 1) or done.stderr:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stderr}")
    return seconds, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _measure(count: int, times: int) -> dict[str, list[tuple[float, float]]]:
    """The answers of each question, among so many resources."""
    with ground() as running:
        filling.fill(running.etcd.endpoint, count - 32)
        store = EtcdStore(EtcdAccess((running.etcd.endpoint,)))
        for key, value in _wrong(filling.keys()):
            store.put(key, value)
        store.close()
        return {
            question: [_ask(running, command) for _ in range(times)]
            for question, command in QUESTIONS.items()
        }


def run(options: argparse.Namespace) -> None:
    found = {count: _measure(count, options.times) for count in options.resources}
    rows = []
    for question in QUESTIONS:
        row = [question]
        for answers in found.values():
            seconds = percentile([taken for taken, _ in answers[question]], 0.5)
            cpu = percentile([used for _, used in answers[question]], 0.5)
            row.append(f"{seconds:.2f} s ({cpu:.2f} s CPU)")
        rows.append(tuple(row))
    limits = ", ".join(f"{_LIMIT[count]} s for {count:,}" for count in found if count in _LIMIT)
    BenchResult(
        "night",
        "What an operator asks at night",
        ("question", *(f"{count:,} resources" for count in found)),
        rows,
        notes=[
            "Median seconds of the command, the start of its process included.",
            f"Each may take {limits}." if limits else "",
        ],
        data={str(count): answers for count, answers in found.items()},
    ).publish(save=options.save)
