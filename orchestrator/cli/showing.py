"""``orchestrator get``: wanted, recorded and reported side by side; for one resource, every record
with its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from ..core.refs import Json, Ref
from ..core.texts import clean
from ..views.resource import (
    RecordView,
    ResourceView,
    Templates,
    records,
    resource,
)
from ..views.snapshot import Snapshot
from ..views.standings import Progress
from .output import (
    BAD,
    DOUBT,
    FAINT,
    GOOD,
    Cell,
    Format,
    Section,
    as_yaml,
    console,
    count,
    emit,
    on_terminal,
    seen,
)
from .status import standing_text


def table(listed: Sequence[ResourceView]) -> list[Section | Text]:
    """The list for people."""
    if not listed:
        return [Text("Nothing is there.")]
    columns: tuple[str, ...] = (
        "resource",
        "is",
        "wanted",
        "recorded",
        "reported",
        "monitoring",
    )
    rows: list[tuple[Cell, ...]] = [_cells(one) for one in listed]
    if any(one.drift for one in listed):
        columns = (*columns, "drift")
        rows = [
            (*cells, _drifted(one.drift))
            for cells, one in zip(rows, listed, strict=True)
        ]
    return [Section("", columns, rows)]


def _cells(one: ResourceView) -> tuple[Cell, ...]:
    return (
        str(one.standing.ref),
        standing_text(one.standing),
        _wanted(one.wanted),
        _recorded(one.recorded),
        _reported(one.reported),
        _monitored(one.monitoring),
    )


def _wanted(wanted: Mapping[str, Json] | None) -> Cell:
    if wanted is None:
        return Text("gone", FAINT)
    told = f"v{wanted['version']}"
    if wanted["marked_for_deletion"]:
        return f"{told} deleted"
    return told


def _recorded(recorded: Mapping[str, Json] | None) -> Cell:
    if recorded is None:
        return ""
    status, outputs = _status(recorded["stack_status"]), recorded["outputs"]
    if outputs:
        status.append(f", {count(outputs, 'output')}", FAINT)
    return status


def _reported(reported: Mapping[str, Json] | None) -> Cell:
    if reported is None:
        return ""
    return _status(f"{reported['worker_state']} v{reported['version']}")


def _monitored(told: Json) -> str:
    if not isinstance(told, dict):
        return ""
    return ", ".join(
        f"{name} {value}" for name, value in told.items() if name != "version"
    )


def _drifted(drift: Mapping[str, Json] | None) -> Cell:
    if drift is None:
        return ""
    told = ", ".join(drift["kinds"])
    if drift["accepted"]:
        return Text(f"{told} (accepted)", FAINT)
    return Text(told, DOUBT)


def _status(text: str) -> Text:
    """``CREATE_COMPLETE`` and the like, coloured by how it ends."""
    bare = text.partition(" ")[0]
    if "COMPLETE" in bare:
        return Text(text, GOOD)
    if bare.endswith("FAILED"):
        return Text(text, BAD)
    return Text(text, DOUBT)


# One resource -------------------------------------------------------------------------------------


def show_one(
    found: Snapshot, ref: Ref, templates: Templates, output: Format
) -> None:
    """All that is known of one resource.

    :param templates: the catalogue's.
    :raises InvalidInput: nothing is known of it.
    """
    listed = records(found, ref, templates)
    judged = resource(found, Progress(found), ref)
    if output is Format.TEXT:
        _print(judged, listed)
    else:
        emit(one_as_document(judged, listed), output)


def one_as_document(
    one: ResourceView, found: Sequence[RecordView]
) -> dict[str, Json]:
    """The whole of one resource, for programs."""
    return {**one.to_json(), "records": [record.to_json() for record in found]}


def _print(one: ResourceView, found: Sequence[RecordView]) -> None:
    """The whole of one resource, for people."""
    target = console()
    standing = one.standing
    name = (clean(str(standing.ref)), "bold")
    head = Text.assemble(name, "  ", standing_text(standing))
    target.print(head, soft_wrap=True)
    if standing.reason:
        target.print(seen(standing.reason), soft_wrap=True)
    if one.drift and not one.drift["accepted"]:
        told = f"has drifted: {one.drift['reason']}"
        target.print(Text(clean(told), DOUBT), soft_wrap=True)
    for record in found:
        target.print()
        _print_record(target, record)


def _print_record(target: Console, record: RecordView) -> None:
    head = Text.assemble(
        (record.name, "bold cyan"),
        "  ",
        clean(record.key),
        (f"  revision {record.revision}", FAINT),
    )
    target.print(head, soft_wrap=True)
    text = as_yaml(record.value).rstrip().removesuffix("\n...")
    text = "\n".join(f"  {line}" for line in text.splitlines())
    if not on_terminal():
        target.print(text, soft_wrap=True)
        return
    target.print(
        Syntax(
            text,
            "yaml",
            theme="ansi_dark",
            background_color="default",
            word_wrap=True,
        )
    )
