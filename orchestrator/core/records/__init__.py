"""Every record in etcd: the contract's (CONTRACT section 7) and our own, values to JSON and back.

One frozen type for each, with ``from_json`` beside ``to_json``. Nobody else reads their JSON.
An example of each is in docs/records.md. A reason is kept with at most
:data:`~orchestrator.core.texts.LONGEST_REASON` characters, whoever worded it.
"""

from .brakes import Brake, Identity, IdentityTrouble
from .contract import (
    READ_COMPLETE,
    JobState,
    MonitoringRecord,
    StackRecord,
    StateRecord,
    failed_status,
    is_monitoring_link,
    worker_state,
)
from .decided import NO_JOB, Failed, Handled, Held
from .logins import Login, LoginState
from .polls import NEEDS_A_PERSON, Poll
from .presence import BridgeAlive, DelayKind, TenantDelay, WorkerAlive
from .reading import UNREADABLE, read
from .retries import RetryAsked
from .runs import Cause, Run, Step

__all__ = [
    "NEEDS_A_PERSON",
    "NO_JOB",
    "READ_COMPLETE",
    "UNREADABLE",
    "Brake",
    "BridgeAlive",
    "Cause",
    "DelayKind",
    "Failed",
    "Handled",
    "Held",
    "Identity",
    "IdentityTrouble",
    "JobState",
    "Login",
    "LoginState",
    "MonitoringRecord",
    "Poll",
    "RetryAsked",
    "Run",
    "StackRecord",
    "StateRecord",
    "Step",
    "TenantDelay",
    "WorkerAlive",
    "failed_status",
    "is_monitoring_link",
    "read",
    "worker_state",
]
