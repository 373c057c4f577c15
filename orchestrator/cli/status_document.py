"""``orchestrator status -o json``. The keys are stable: scripts rely on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ..core.records import BridgeAlive, Run, SchemaTrouble, Step
from ..core.refs import Json, Ref
from ..views.causes import FoldedCause
from ..views.jobs import JobView, Stage
from ..views.overview import FailureGroup, Overview
from ..views.standings import Phase, Standing

_NO_RUN = Run(Step.CLAIMED)
"""Stands for the run of a job that has none: nothing has happened yet."""


def as_document(found: Overview, now: float) -> dict[str, Json]:
    """The whole picture.

    :param now: seconds since the epoch.
    """
    return {
        **_bridge(found),
        **_processes(found),
        "alarms": list(found.alarms),
        "resources": {
            phase.value: found.phases.get(phase, 0) for phase in Phase
        },
        **_in_progress(found, now),
        **_wrong(found),
        "deleted": _standings(found.deleted),
    }


def _in_progress(found: Overview, now: float) -> dict[str, Json]:
    return {
        "delayed_tenants": [asdict(delay) for delay in found.delays],
        "running": [_job(view, now) for view in found.running],
        "waiting": [_job(view, now) for view in found.waiting],
        "pending": _standings(found.pending),
    }


def _wrong(found: Overview) -> dict[str, Json]:
    """What a person should look at."""
    return {
        "overdue": [_timed(standing) for standing in found.overdue],
        "held": [_held(standing) for standing in found.held],
        "failed": [_failure(failure) for failure in found.failures],
        "causes": [_cause(cause) for cause in found.causes],
        "trouble": [_timed(standing) for standing in found.trouble],
        "stale": _standings(found.stale),
        "unconfirmed": _standings(found.unconfirmed),
        "broken": _standings(found.broken),
        "lost": _standings(found.lost),
        "drifted": [one.to_json() for one in found.drifted],
        "outdated": [_outdated(standing) for standing in found.outdated],
        "rewritten": _standings(found.rewritten),
        "rejected": _rejected(found),
    }


def _rejected(found: Overview) -> list[Json]:
    return [
        {"key": key, "reason": reason}
        for key, reason in (found.rejected or {}).items()
    ]


def _bridge(found: Overview) -> dict[str, Json]:
    stopped = ""
    if found.identity_trouble:
        stopped = found.identity_trouble.reason
    return {
        "revision": found.revision,
        "leader": asdict(found.leader) if found.leader else None,
        "schemas": _copy(found.schema_list),
        "schemas_trouble": _schema_trouble(found.schema_trouble),
        "stopped": stopped,
        "paused": [
            {"scope": pause.about, **pause.to_record()}
            for pause in found.pauses
        ],
    }


def _processes(found: Overview) -> dict[str, Json]:
    alive = found.processes
    bridges = [*alive.standbys]
    if alive.leader is not None:
        bridges.insert(0, alive.leader)
    return {
        "bridges": [_bridge_alive(one, alive.leader) for one in bridges],
        "workers": [asdict(one) for one in alive.workers],
        "message_wait": alive.wait,
    }


def _bridge_alive(
    one: BridgeAlive, leader: BridgeAlive | None
) -> dict[str, Json]:
    return {
        "host": one.host,
        "pid": one.pid,
        "version": one.version,
        "since": one.since,
        "leads": one is leader,
    }


def _copy(record: Mapping[str, Json] | None) -> dict[str, Json] | None:
    if record is None:
        return None
    return dict(record)


def _schema_trouble(trouble: SchemaTrouble | None) -> dict[str, Json] | None:
    if trouble is None:
        return None
    return {
        "reason": trouble.reason,
        "source": trouble.source,
        "since": trouble.since,
        "refused": trouble.refused,
    }


def _standings(found: tuple[Standing, ...]) -> list[Json]:
    return [_standing(standing) for standing in found]


def _standing(standing: Standing) -> dict[str, Json]:
    return {
        "type": standing.ref.type,
        "id": standing.ref.id,
        "version": standing.version,
        "reason": standing.reason,
        "since": standing.since or None,
    }


def _outdated(standing: Standing) -> dict[str, Json]:
    assert standing.outdated is not None
    return {**_standing(standing), **standing.outdated.to_json()}


def _held(standing: Standing) -> dict[str, Json]:
    return {**_standing(standing), "waits_for": _ref(standing.waits_for)}


def _ref(ref: Ref | None) -> dict[str, str] | None:
    if ref is None:
        return None
    return ref.to_record()


def _failure(failure: FailureGroup) -> dict[str, Json]:
    return {
        "root": failure.root.to_record(),
        "error": failure.error,
        "resources": _standings(failure.members),
    }


def _timed(standing: Standing) -> dict[str, Json]:
    return {**_standing(standing), "gives_up": standing.gives_up or None}


def _cause(cause: FoldedCause) -> dict[str, Json]:
    return {
        "roots": [root.to_record() for root in cause.roots],
        "tenants": list(cause.tenants),
        "error": cause.error,
        "since": cause.since or None,
        "resources": len(cause.members),
        "what_to_do": cause.todo,
    }


def _job(view: JobView, now: float) -> dict[str, Json]:
    job, stage = view.job, view.stage
    run = view.run or _NO_RUN
    in_heat = retry_after = None
    if run.asked_at and stage is Stage.IN_HEAT:
        in_heat = round(now - run.asked_at, 1)
    if stage is Stage.RETRY:
        retry_after = round(run.resumed(now).delay, 1)
    return {
        "job": job.id,
        "type": job.ref.type,
        "id": job.ref.id,
        "action": job.action.value,
        "version": job.version,
        "stage": stage.name.lower(),
        "waits_for": list(view.waits_for),
        "stack": run.stack,
        "seconds_in_heat": in_heat,
        "attempt": run.tries,
        "retry_after": retry_after,
        "retry": run.retry,
        "retries": run.retries,
        "reason": run.reason,
    }
