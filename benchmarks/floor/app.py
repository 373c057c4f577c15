"""A bare Celery chain: ``celery -A benchmarks.floor.app worker``. Celery's defaults, no results kept."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, chain
from celery.signals import worker_process_init

from . import work

app = Celery("floor", broker=os.environ["ORCHESTRATOR_BROKER_URL"])
app.conf.update(
    task_ignore_result=True, task_default_queue="floor", broker_connection_retry_on_startup=True
)
_doors: list[work.Doors] = []


@worker_process_init.connect
def _open(**_: Any) -> None:
    _doors[:] = [work.Doors()]


@app.task(name="floor.submit")
def submit(name: str) -> tuple[str, str, str, int]:
    return work.submit(_doors[0], name)


@app.task(name="floor.wait", bind=True, max_retries=None)
def wait(self: Any, asked: tuple[str, str, str, int]) -> tuple[str, int, list[Any]]:
    tenant, name, stack, version = asked
    outputs = work.wait(_doors[0], tenant, name, stack)
    if outputs is None:
        raise self.retry(countdown=1)
    return name, version, outputs


@app.task(name="floor.record")
def record(done: tuple[str, int, list[Any]]) -> None:
    work.record(_doors[0], *done)


@app.task(name="floor.all")
def everything(name: str) -> None:
    """The same in a single task: one message instead of three."""
    tenant, name, stack, version = work.submit(_doors[0], name)
    outputs = work.wait(_doors[0], tenant, name, stack)
    assert outputs is not None, "for stacks that Heat builds at once"
    work.record(_doors[0], name, version, outputs)


def send(name: str) -> None:
    chain(submit.s(name), wait.s(), record.s()).apply_async()
