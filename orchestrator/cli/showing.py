"""``orchestrator get``: wanted, recorded and reported side by side; for one resource, every record
with its key."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rich.syntax import Syntax
from rich.text import Text

from ..core import confidential, masking
from ..core.refs import Json, Ref
from ..core.templates import TEMPLATE_TYPE, Template
from ..core.texts import clean
from ..errors import InvalidInput
from .documents import config_key
from .output import (
    BAD,
    DOUBT,
    FAINT,
    GOOD,
    Format,
    Section,
    as_yaml,
    console,
    count,
    emit,
    on_terminal,
    seen,
    shown,
)
from .progress import Progress, Standing
from .snapshot import Snapshot
from .status import phase_text


@dataclass(frozen=True, slots=True)
class Row:
    """One resource in the list."""

    standing: Standing
    wanted: dict[str, Json] | None
    recorded: dict[str, Json] | None
    reported: dict[str, Json] | None
    monitoring: Json

    def to_json(self) -> dict[str, Json]:
        standing = self.standing
        return {
            "type": standing.ref.type,
            "id": standing.ref.id,
            "phase": standing.phase.value,
            "reason": standing.reason,
            "wanted": self.wanted,
            "recorded": self.recorded,
            "reported": self.reported,
            "monitoring": self.monitoring,
        }


@dataclass(frozen=True, slots=True)
class Record:
    """One key of a resource: what it is, and its value with the JSON inside texts taken out and
    secrets masked."""

    name: str
    key: str
    revision: int
    value: Json

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "key": self.key,
            "revision": self.revision,
            "value": self.value,
        }


def rows(snapshot: Snapshot, kind: str | None = None) -> list[Row]:
    """All resources, or those of one type."""
    progress = Progress(snapshot)
    return [
        row(snapshot, progress, ref)
        for ref in snapshot.refs()
        if kind is None or ref.type == kind
    ]


def row(snapshot: Snapshot, progress: Progress, ref: Ref) -> Row:
    wanted, stack, state = (
        snapshot.wanted.get(ref),
        snapshot.stacks.get(ref),
        snapshot.states.get(ref),
    )
    told = snapshot.monitoring.get(ref)
    return Row(
        progress.of(ref),
        (
            {
                "version": wanted.version,
                "marked_for_deletion": wanted.marked_for_deletion,
            }
            if wanted
            else None
        ),
        (
            {
                "stack_status": stack.status,
                "outputs": stack.outputs,
                "tenant_id": stack.tenant,
            }
            if stack
            else None
        ),
        (
            {
                "worker_state": state.worker_state,
                "version": state.version,
                "error": state.error,
            }
            if state
            else None
        ),
        masking.masked(told.document()) if told else None,
    )


def table(listed: list[Row]) -> list[Section | Text]:
    """The list for people."""
    if not listed:
        return [Text("Nothing is there.")]
    columns = ("resource", "is", "wanted", "recorded", "reported", "monitoring")
    return [Section("", columns, [_cells(row) for row in listed])]


def _cells(row: Row) -> tuple[str | Text, ...]:
    wanted, recorded, reported = row.wanted, row.recorded, row.reported
    outputs = (
        f", {count(recorded['outputs'], 'output')}"
        if recorded and recorded["outputs"]
        else ""
    )
    told = row.monitoring
    status = (
        ", ".join(
            f"{name} {value}"
            for name, value in told.items()
            if name != "version"
        )
        if isinstance(told, dict)
        else ""
    )
    return (
        str(row.standing.ref),
        phase_text(row.standing.phase),
        (
            f"v{wanted['version']}{' deleted' if wanted['marked_for_deletion'] else ''}"
            if wanted
            else Text("gone", FAINT)
        ),
        _status(recorded["stack_status"]).append(outputs, FAINT)
        if recorded
        else "",
        (
            _status(f"{reported['worker_state']} v{reported['version']}")
            if reported
            else ""
        ),
        status,
    )


def _status(text: str) -> Text:
    """``CREATE_COMPLETE`` and the like, coloured by how it ends."""
    bare = text.partition(" ")[0]
    return Text(
        text,
        GOOD
        if "COMPLETE" in bare
        else BAD
        if bare.endswith("FAILED")
        else DOUBT,
    )


# One resource -------------------------------------------------------------------------------------


def records(
    snapshot: Snapshot,
    ref: Ref,
    catalogue: Mapping[str, Template] = MappingProxyType({}),
) -> list[Record]:
    """Every key there is of one resource, in the order in which they come to be.

    :param catalogue: the templates that serve where etcd has none: they say which parameters are
        secret.
    :raises InvalidInput: nothing is known of it.
    """
    keys = snapshot.keys
    wanted_key = config_key(keys, ref)
    places = [("wanted", wanted_key)]
    if keys.schemas.get(ref.type):
        places += [
            ("handled", keys.below(keys.handled, ref)),
            ("held", keys.below(keys.held, ref)),
        ]
        places += [
            ("job", keys.job(job.id))
            for job in snapshot.jobs.values()
            if job.ref == ref
        ]
        places += [
            ("run", key)
            for key in snapshot.raw
            if key.startswith(keys.runs) and _run_is_of(snapshot, key, ref)
        ]
        places += [
            ("job state", keys.below(keys.job_states, ref)),
            ("stack", keys.below(keys.stacks, ref)),
        ]
        places += [
            ("failed", keys.below(keys.failed, ref)),
            ("state", keys.below(keys.state, ref)),
        ]
        places += [("monitoring", keys.below(keys.monitoring, ref))]
    hidden = _secrets(snapshot, ref, catalogue)
    there = [
        (name, kv)
        for name, key in places
        if (kv := snapshot.raw.get(key)) is not None
    ]
    found = [
        Record(name, kv.key, kv.revision, readable(kv.value, hidden))
        for name, kv in there
    ]
    if not found:
        raise InvalidInput(
            f"nothing is known of {ref}: there is no {wanted_key}"
        )
    return found


def _run_is_of(snapshot: Snapshot, key: str, ref: Ref) -> bool:
    _, _, rest = snapshot.keys.run_job(key).partition(":heat_worker:")
    return rest.startswith(f"{ref}:") and rest.rsplit(":", 2)[0] == str(ref)


def _secrets(
    snapshot: Snapshot, ref: Ref, catalogue: Mapping[str, Template]
) -> list[str]:
    """What must not be shown of a resource, wherever it stands in its records."""
    if ref.type == TEMPLATE_TYPE:
        return []
    wanted, handled = snapshot.wanted.get(ref), snapshot.handled.get(ref)
    known = (
        snapshot.templates.get(
            handled.template, catalogue.get(handled.template)
        )
        if handled
        else None
    )
    template = known if isinstance(known, Template) else None
    found = [
        secret
        for config in (wanted, handled)
        if config
        for secret in confidential.of_body(config.body, template)
    ]
    for job in snapshot.jobs.values():
        if job.ref == ref:
            found += (
                confidential.of_job(job, template)
                if template
                else confidential.by_name(job)
            )
    return found


_INSIDE = ("body", "state", "heat_outputs", "monitoring")
"""Where JSON stands inside a text."""


def readable(value: bytes, hidden: Collection[str]) -> Json:
    """A value as one wants to read it: JSON inside texts taken out, secrets masked."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return f"({len(value)} bytes that are not JSON)"
    return shown(_unfolded(document), hidden)


def _unfolded(document: Json) -> Json:
    if not isinstance(document, dict):
        return document
    return {
        name: _unfolded(_inner(inner) if name in _INSIDE else inner)
        for name, inner in document.items()
    }


def _inner(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return f"({len(value)} characters that are not JSON)"


def print_one(row: Row, found: list[Record]) -> None:
    """The whole of one resource, for people."""
    target = console()
    standing = row.standing
    target.print(
        Text.assemble(
            (clean(str(standing.ref)), "bold"), "  ", phase_text(standing.phase)
        ),
        soft_wrap=True,
    )
    if standing.reason:
        target.print(seen(standing.reason), soft_wrap=True)
    for record in found:
        target.print()
        target.print(
            Text.assemble(
                (record.name, "bold cyan"),
                "  ",
                clean(record.key),
                (f"  revision {record.revision}", FAINT),
            ),
            soft_wrap=True,
        )
        text = as_yaml(record.value).rstrip().removesuffix("\n...")
        text = "\n".join(f"  {line}" for line in text.splitlines())
        if on_terminal():
            target.print(
                Syntax(
                    text,
                    "yaml",
                    theme="ansi_dark",
                    background_color="default",
                    word_wrap=True,
                )
            )
        else:
            target.print(text, soft_wrap=True)


def one_as_document(row: Row, found: list[Record]) -> dict[str, Json]:
    return {**row.to_json(), "records": [record.to_json() for record in found]}


def show_one(
    found: Snapshot, ref: Ref, templates: Mapping[str, Template], output: Format
) -> None:
    """All that is known of one resource."""
    listed = records(found, ref, templates)
    judged = row(found, Progress(found), ref)
    if output is Format.TEXT:
        print_one(judged, listed)
    else:
        emit(one_as_document(judged, listed), output)
