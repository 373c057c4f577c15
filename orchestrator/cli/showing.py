"""``orchestrator get``: wanted, recorded and reported side by side; for one resource, every record
with its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
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
from ..views.times import Moment
from .ages import age, due, stamp
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

_COLUMNS = (
    "resource",
    "is",
    "age",
    "wanted",
    "recorded",
    "reported",
    "monitoring",
)
_SPARE = ("monitoring", "recorded", "reported", "wanted", "age")
"""What a narrow terminal does without, the first first."""
_LONGEST_LINE = 120
"""Characters of a line of a record, at most."""
_LONG_WORD = 24
"""Characters by which a line may be longer than was asked: YAML is broken after a word."""
_MORE = ("tenant", "since", "because", "differs")
"""What the wide list has besides."""


def table(
    listed: Sequence[ResourceView], now: float, *, wide: bool = False
) -> list[Section | Text]:
    """The list for people.

    :param now: seconds since the epoch.
    :param wide: with all columns, however narrow the terminal.
    """
    if not listed:
        return [Text("Nothing is there.")]
    return [*sections(listed, now, wide=wide)]


def sections(
    listed: Sequence[ResourceView], now: float, *, wide: bool = False
) -> list[Section]:
    """The same as one table."""
    rows = [cells(one, now, wide=wide) for one in listed]
    if wide:
        sentences = frozenset({"because", "differs"})
        return [Section("", (*_COLUMNS, *_MORE), rows, wide=sentences)]
    return [Section("", _COLUMNS, rows, spare=_SPARE)]


def cells(one: ResourceView, now: float, *, wide: bool) -> tuple[Cell, ...]:
    """A row of the list.

    :param now: seconds since the epoch; 0: without the age.
    """
    standing = one.standing
    since = standing.since if now else 0.0
    known = (
        str(standing.ref),
        standing_text(standing),
        age(now, since),
        _wanted(one.wanted),
        _recorded(one.recorded),
        _reported(one.reported),
        _monitored(one.monitoring),
    )
    if not wide:
        return known
    more = (one.tenant, stamp(since), standing.reason, _differs(one))
    return (*known, *more)


def _differs(one: ResourceView) -> str:
    """What Heat has otherwise, and what it was built from that is another one now."""
    told = []
    if one.drift:
        told.append(f"{_drifted(one.drift)}: {one.drift['reason']}")
    if one.standing.outdated:
        told.append(one.standing.outdated.reason)
    return "; ".join(told)


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


def _drifted(drift: Mapping[str, Json]) -> str:
    told = f"drifted: {', '.join(drift['kinds'])}"
    if drift["accepted"]:
        return f"{told} (accepted)"
    return told


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
    found: Snapshot,
    ref: Ref,
    templates: Templates,
    output: Format,
    moment: Moment,
) -> None:
    """All that is known of one resource.

    :param templates: the catalogue's.
    :param moment: when it is looked at.
    :raises InvalidInput: nothing is known of it.
    """
    listed = records(found, ref, templates)
    judged = resource(found, Progress(found, moment), ref)
    if output is Format.TEXT:
        _print(judged, listed, moment.now)
    else:
        emit(one_as_document(judged, listed), output)


def one_as_document(
    one: ResourceView, found: Sequence[RecordView]
) -> dict[str, Json]:
    """The whole of one resource, for programs."""
    return {**one.to_json(), "records": [record.to_json() for record in found]}


def _print(one: ResourceView, found: Sequence[RecordView], now: float) -> None:
    """The whole of one resource, for people."""
    target = console()
    for line in _first_lines(one, now):
        target.print(line, soft_wrap=True)
    for record in found:
        target.print()
        target.print(_record_head(record), soft_wrap=True)
        if on_terminal():
            target.print(_coloured(record))
        else:
            target.print(_document(record), soft_wrap=True)


def as_renderable_one(
    one: ResourceView, found: Sequence[RecordView], now: float
) -> RenderableType:
    """The whole of one resource, for a screen.

    :param now: seconds since the epoch.
    """
    parts: list[RenderableType] = [*_first_lines(one, now)]
    for record in found:
        parts += [Text(), _record_head(record), _coloured(record)]
    return Group(*parts)


def _first_lines(one: ResourceView, now: float) -> Iterator[Text]:
    """How it stands, since when and why."""
    standing = one.standing
    name = (clean(str(standing.ref)), "bold")
    head = Text.assemble(name, "  ", standing_text(standing))
    if standing.since:
        told = (
            f"  for {age(now, standing.since)}, since {stamp(standing.since)}"
        )
        head.append(told, FAINT)
    if standing.gives_up:
        head.append(f"  given up {due(now, standing.gives_up)}", BAD)
    yield head
    if standing.reason:
        yield seen(standing.reason)
    if one.drift and not one.drift["accepted"]:
        yield Text(clean(f"has drifted: {one.drift['reason']}"), DOUBT)


def _record_head(record: RecordView) -> Text:
    return Text.assemble(
        (record.name, "bold cyan"),
        "  ",
        clean(record.key),
        (f"  revision {record.revision}", FAINT),
    )


def _document(record: RecordView) -> str:
    """The value, as YAML that fits the terminal."""
    width = _LONGEST_LINE
    if on_terminal():
        width = min(console().width - _LONG_WORD, width)
    text = as_yaml(record.value, width).rstrip().removesuffix("\n...")
    return "\n".join(f"  {line}" for line in text.splitlines())


def _coloured(record: RecordView) -> Syntax:
    return Syntax(
        _document(record),
        "yaml",
        theme="ansi_dark",
        background_color="default",
        word_wrap=True,
    )
