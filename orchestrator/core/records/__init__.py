"""Every record in etcd: the contract's (CONTRACT section 7) and our own, values to JSON and back.

One frozen type for each, with ``from_json`` beside ``to_json``. Nobody else reads their JSON.
An example of each is in docs/records.md. A reason is kept with at most
:data:`~orchestrator.core.texts.LONGEST_REASON` characters, whoever worded it.
"""

from .audits import CARRIED_OUT, AuditRecord
from .brakes import Brake, Identity, IdentityTrouble
from .built import Built, digests_of
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
from .decided import NO_JOB, Handled
from .drifts import (
    Depth,
    Deviation,
    Drift,
    DriftKind,
    StackUpdate,
    Sweep,
    SweepAsked,
)
from .durations import Duration, Durations
from .leading import (
    LeaderRecord,
    SchemasRecord,
    SchemaTrouble,
    stored_schemas,
)
from .logins import Login, LoginState
from .pauses import NO_PAUSES, Pause, Pauses
from .polls import NEEDS_A_PERSON, Poll
from .presence import BridgeAlive, DelayKind, TenantDelay, WorkerAlive
from .reading import UNREADABLE, read
from .retries import LeavingMode, RetryAsked, Tombstone
from .revisions import TemplateRevision
from .rollouts import MOST_CANARIES, Rollout, RolloutPhase, TargetHealth
from .runs import Cause, Run, Step
from .unbuilt import Failed, Held

__all__ = [
    "CARRIED_OUT",
    "MOST_CANARIES",
    "NEEDS_A_PERSON",
    "NO_JOB",
    "NO_PAUSES",
    "READ_COMPLETE",
    "UNREADABLE",
    "AuditRecord",
    "Brake",
    "BridgeAlive",
    "Built",
    "Cause",
    "DelayKind",
    "Depth",
    "Deviation",
    "Drift",
    "DriftKind",
    "Duration",
    "Durations",
    "Failed",
    "Handled",
    "Held",
    "Identity",
    "IdentityTrouble",
    "JobState",
    "LeaderRecord",
    "LeavingMode",
    "Login",
    "LoginState",
    "MonitoringRecord",
    "Pause",
    "Pauses",
    "Poll",
    "RetryAsked",
    "Rollout",
    "RolloutPhase",
    "Run",
    "SchemaTrouble",
    "SchemasRecord",
    "StackRecord",
    "StackUpdate",
    "StateRecord",
    "Step",
    "Sweep",
    "SweepAsked",
    "TargetHealth",
    "TemplateRevision",
    "TenantDelay",
    "Tombstone",
    "WorkerAlive",
    "digests_of",
    "failed_status",
    "is_monitoring_link",
    "read",
    "stored_schemas",
    "worker_state",
]
