"""What a change says: a sentence, and the time and the author where the record names them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime

from ..core.documents import elements
from ..core.refs import Json, Ref
from .changes import ChangeKind, HistoryChange

Document = Mapping[str, Json]
"""A record as it may be shown: the JSON inside texts taken out, secrets masked."""

_AUTHORS = ("who", "by", "author")
"""The fields by which a record names who wrote it."""
_REASONS = ("why",)
_TIMES = ("ended", "at", "when", "since", "fetched")
"""The fields by which a record says when it was written, or since when it holds."""


def sentence(change: HistoryChange, document: Json) -> str:
    """What happened, for people.

    :param document: as it may be shown.
    """
    if change.value is None:
        return _GONE.get(change.kind, "removed")
    if change.kind is ChangeKind.JOB:
        return _job(document)
    if not isinstance(document, dict):
        return f"written, but it cannot be read: {document}"
    told = _SAYS.get(change.kind, _other)(document)
    if change.kind is ChangeKind.CONFIG and change.created == change.revision:
        told += ", a new resource"
    return told + _why(document)


def _why(document: Document) -> str:
    reasons = (document.get(name) for name in _REASONS)
    return "".join(f" ({reason})" for reason in reasons if reason)


_GONE = {
    ChangeKind.CONFIG: "config removed",
    ChangeKind.HANDLED: "forgotten",
    ChangeKind.HELD: "no longer held",
    ChangeKind.JOB: "job removed",
    ChangeKind.RUN: "run removed",
    ChangeKind.STACK: "stack record removed",
    ChangeKind.STATE: "state removed",
    ChangeKind.FAILED: "no longer failed",
    ChangeKind.BUILT: "record of what the stack is built from removed",
    ChangeKind.MONITORING: "monitoring record removed",
    ChangeKind.RETRY: "request dealt with",
    ChangeKind.VERB: "the record of a verb is dropped",
    ChangeKind.DRIFT: "no drift any more",
}


def _config(document: Document) -> str:
    version = document.get("version") or "(unversioned)"
    if document.get("marked_for_deletion") is True:
        return f"version {version} asks for the deletion"
    return f"version {version} is wanted"


def _handled(document: Document) -> str:
    version = document.get("version")
    if follows := _followed(document):
        return f"version {version} is built again, because {follows} changed"
    if job := document.get("job"):
        return f"version {version} became job {job}"
    return f"version {version} was refused"


def _drift(document: Document) -> str:
    kinds = dict.fromkeys(
        str(one.get("kind"))
        for one in elements(document.get("deviations"))
        if isinstance(one, dict)
    )
    told = f"has drifted: {', '.join(kinds)}"
    if document.get("gone"):
        return "has not drifted any more"
    if document.get("accepted"):
        return f"{told}; a person accepts it"
    return told


_EXPECTED = 4
"""Type, id, output and digest of an expected output."""


def _followed(document: Document) -> str:
    """The outputs whose change is the reason for a job, in words; empty when they are not."""
    outputs = [
        f"output {one[2]} of {one[0]}:{one[1]}"
        for one in elements(document.get("expected"))
        if isinstance(one, list) and len(one) == _EXPECTED
    ]
    more = len(outputs) - 1
    if more > 0:
        return f"{outputs[0]} and {more} more"
    return "".join(outputs)


def _held(document: Document) -> str:
    version, reason = document.get("version"), document.get("reason", "")
    return f"version {version} is held: {reason}"


def _job(document: Json) -> str:
    try:
        job = document[1]
        action = str(job["action"]).removeprefix("logical_")
        return f"job to {action}, version {job['version']}"
    except (IndexError, KeyError, TypeError):
        return "written, but it is no job"


def _run(document: Document) -> str:
    step = str(document.get("step", ""))
    told = _STEPS.get(step, _step)(document)
    marks = [mark for mark in ("overdue", "abandoned") if document.get(mark)]
    return ", ".join([told, *marks])


def _step(document: Document) -> str:
    return f"step {document.get('step')}"


def _claimed(document: Document) -> str:
    told = "a worker takes the job"
    if attempt := document.get("attempt"):
        told += f" again, after {attempt} failed attempts"
    return told


def _retried(document: Document) -> str:
    attempt, reason = document.get("attempt", 0), document.get("reason", "")
    delay = _seconds(document.get("delay")) or 0.0
    if document.get("cause") == "failed":
        retry, retries = document.get("retry"), document.get("retries")
        return f"retry {retry} of {retries} in {delay:g} s: {reason}"
    return f"attempt {attempt} failed, next one in {delay:g} s: {reason}"


def _waiting(document: Document) -> str:
    return f"Heat has taken the request, stack {document.get('stack') or '?'}"


def _done(document: Document) -> str:
    if document.get("complete"):
        return "the job is complete"
    return f"the job failed: {document.get('reason', '')}"


_STEPS: Mapping[str, Callable[[Document], str]] = {
    "claimed": _claimed,
    "retry": _retried,
    "waiting": _waiting,
    "ended": lambda _: "Heat is done",
    "done": _done,
}


def _stack(document: Document) -> str:
    status = str(document.get("stack_status", ""))
    if "FAILED" not in status:
        return f"stack {status}"
    return f"stack {status}: {document.get('status_reason', '')}"


def _state(document: Document) -> str:
    outcome = _object(document.get("state")).get("worker_state", "?")
    told = f"reported {outcome} for version {document.get('version', '?')}"
    if error := document.get("error"):
        told += f": {error}"
    return told


def _failed(document: Document) -> str:
    root = _object(document.get("root"))
    cause = Ref(root.get("resource_type", "?"), root.get("resource_id", "?"))
    version, error = document.get("version"), document.get("error")
    if tries := document.get("tries"):
        return f"version {version} is tried again, try {tries} failed: {error}"
    return f"version {version} failed, cause {cause}: {error}"


def _retry(document: Document) -> str:
    if tenant := document.get("gone"):
        return f"a person says that project {tenant} is gone"
    if document.get("confirm"):
        return "a person lets the held deletion go"
    if document.get("force"):
        return "a person asks for another try, with force"
    return "a person asks for another try"


def _verb(document: Document) -> str:
    name, outcome = document.get("verb", "?"), document.get("outcome")
    selector = document.get("selector")
    told = f"{name} {selector}" if selector else str(name)
    if outcome:
        return f"{told}: {outcome}"
    return f"{told}: asked for"


def _left(document: Document) -> str:
    stack, tenant = document.get("stack"), document.get("tenant_id")
    return f"forgotten; a stack {stack} may be left in project {tenant}"


def _monitoring(document: Document) -> str:
    told = _object(document.get("monitoring")) or document
    return "monitoring: " + ", ".join(
        f"{name} {value}" for name, value in told.items() if name != "version"
    )


def _other(document: Document) -> str:
    return "written"


_SAYS: Mapping[ChangeKind, Callable[[Document], str]] = {
    ChangeKind.CONFIG: _config,
    ChangeKind.HANDLED: _handled,
    ChangeKind.HELD: _held,
    ChangeKind.DRIFT: _drift,
    ChangeKind.RUN: _run,
    ChangeKind.JOB_STATE: lambda _: "job state written",
    ChangeKind.STACK: _stack,
    ChangeKind.STATE: _state,
    ChangeKind.FAILED: _failed,
    ChangeKind.BUILT: lambda _: "recorded what the stack is built from",
    ChangeKind.RETRY: _retry,
    ChangeKind.VERB: _verb,
    ChangeKind.LEFT: _left,
    ChangeKind.MONITORING: _monitoring,
}


# Who and when -------------------------------------------------------------------------------------


def author(document: Json) -> str:
    """Who wrote a record, as it says; empty where it does not."""
    if not isinstance(document, dict):
        return ""
    named = (document.get(name) for name in _AUTHORS)
    return next((name for name in named if isinstance(name, str) and name), "")


def time_of(kind: ChangeKind, document: Json, before: Json) -> float | None:
    """When a record was written, as it says, in seconds since the epoch.

    :param before: the same record's earlier version: a time that was in there tells of that one.
    """
    if not isinstance(document, dict):
        return None
    if kind is ChangeKind.RUN:
        return _run_time(document, before)
    for name in _TIMES:
        if (value := document.get(name)) and value != _object(before).get(name):
            return _seconds(value)
    return None


def _run_time(document: Document, before: Json) -> float | None:
    step, due = document.get("step"), _seconds(document.get("due"))
    if step == "retry" and due is not None:
        return due - (_seconds(document.get("delay")) or 0.0)
    name = {"claimed": "since", "waiting": "asked_at"}.get(str(step), "")
    value = document.get(name)
    if value == _object(before).get(name):
        return None
    return _seconds(value)


def _object(value: Json) -> Document:
    """An object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _seconds(value: Json) -> float | None:
    """A time as records have it: seconds since the epoch, or ISO 8601."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if value > 0 and math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None
