"""Points between two effects, at which tests kill the process.

``reach("after-claim")`` does nothing unless the environment named a point when the process began:
``ORCHESTRATOR_FAULT=after-claim`` kills the process with SIGKILL the first time it gets there.
With ``ORCHESTRATOR_FAULT_ONCE=<file>`` only one process of all dies: the one that makes the file.
The points are listed in :data:`POINTS`; ``tests/faults`` dies at each of them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

POINTS = {
    # the bridge
    "bridge-before-job": "a config was decided, nothing is written",
    "bridge-after-job": "the job record is written, nothing is sent",
    "bridge-after-send": "the job was sent, the bridge does not know",
    "bridge-after-report": "a READ_COMPLETE state is written",
    "bridge-before-release": "a job's end was seen, its dependents wait still",
    "bridge-before-follow": (
        "outputs were read that others were built from, nobody is decided"
    ),
    "bridge-after-follow": (
        "the job of a user of a changed output is written, nothing is sent"
    ),
    "bridge-before-rollout": (
        "it is decided how a roll-out goes on, its record is as before"
    ),
    "bridge-after-rollout": (
        "the record of a roll-out is written, nothing that follows is begun"
    ),
    "bridge-after-cascade": "a dependent was failed, the others not yet",
    "bridge-before-clean": "the stack and the config are gone, the records are there",
    "bridge-before-remove": (
        "a job's end was dealt with, its dependents are sent, its run is there"
    ),
    "bridge-after-clean": "a job's end was dealt with, its run is removed",
    # the workers
    "worker-before-claim": "the message was taken, the job not",
    "worker-after-claim": "the job is claimed, Heat was not asked",
    "worker-after-heat": "Heat has taken the request, nobody wrote it down",
    "worker-after-asked": "the run says that Heat was asked, the chain goes not on",
    "worker-after-mark": "a poll has marked what ended, nothing is recorded or sent",
    "worker-before-end": "Heat's result was read, nothing is written",
    "worker-after-stack": "the stack record is written, the state is not",
    "worker-after-end": (
        "the state is written and the job removed, the message is not finished"
    ),
    "worker-before-monitoring": "the target was asked, the record is not written",
}

_wanted = os.environ.get("ORCHESTRATOR_FAULT", "")
_once = os.environ.get("ORCHESTRATOR_FAULT_ONCE", "")


def _nothing(point: str) -> None:
    """The usual case."""


def _die(point: str) -> None:
    if point != _wanted:
        return
    if _once:
        try:
            Path(_once).touch(exist_ok=False)
        except FileExistsError:
            return
    os.kill(os.getpid(), signal.SIGKILL)


reach: Callable[[str], None] = _die if _wanted else _nothing
