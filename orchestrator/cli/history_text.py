"""A history as people read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from rich.text import Text

from ..core.refs import Json
from ..history import timeline
from ..history.changes import Gap
from ..history.differences import NOTHING, Difference
from ..history.timeline import Timeline, TimelineEntry
from ..history.wanted import Config
from .ages import stamp
from .output import BAD, DOUBT, FAINT, GOOD, Cell, Section

_LONGEST = 300
"""Characters of a difference in the text."""
_COLUMNS = ("time", "revision", "record", "what", "who")


def history(found: Timeline, *, diff: bool) -> list[Section | Text]:
    """The changes of a resource, one line each.

    :param diff: with the values that differ from the version before.
    """
    if not any(True for _ in timeline.visible(found.entries)):
        return [Text("Nothing happened.")]
    if diff:
        return list(_with_differences(found))
    authors = any(entry.author for entry in found.entries)
    columns = _COLUMNS if authors else _COLUMNS[:-1]
    rows = [cells[: len(columns)] for cells in _rows(found)]
    return [Section("", columns, rows, wide=frozenset({"what"}))]


def configs(found: Iterable[Config]) -> list[Section | Text]:
    """The wanted configuration of a moment."""
    rows = [_config_cells(config) for config in found]
    if not rows:
        return [Text("Nothing was wanted.")]
    return [Section("", ("resource", "version", "revision", "seen"), rows)]


def _config_cells(config: Config) -> tuple[Cell, ...]:
    change = config.change
    late = change.late or change.listed
    return (
        str(config.ref),
        f"v{config.version}{' deleted' if config.marked else ''}",
        str(change.revision),
        _moment(change.seen, at_the_latest=late),
    )


# Lines --------------------------------------------------------------------------------------------


def _in_order(found: Timeline) -> list[TimelineEntry | Gap]:
    """The changes, and the gaps where they belong. Those before the first change are left out."""
    first = found.entries[0].change
    later = [
        gap
        for gap in found.gaps
        if (gap.generation, gap.last) >= (first.generation, first.revision)
    ]
    items: list[TimelineEntry | Gap] = [*later, *found.entries]
    return sorted(items, key=_place)


def _place(item: TimelineEntry | Gap) -> tuple[int, int, int]:
    if isinstance(item, Gap):
        return (item.generation, item.last, 0)
    return (item.change.generation, item.change.revision, 1)


def _is_quiet(item: TimelineEntry | Gap) -> bool:
    return isinstance(item, TimelineEntry) and item.quiet


def _rows(found: Timeline) -> Iterator[tuple[Cell, ...]]:
    """The cells of each line. An error that the line before has told is not told again."""
    before = ""
    for item in _in_order(found):
        if _is_quiet(item):
            continue
        cells, error = _cells(item), _error(item)
        if error and error == before and isinstance(item, TimelineEntry):
            says = item.says.replace(error, "the same error")
            cells = (*cells[:3], Text(says, _style(item)), cells[4])
        yield cells
        before = error


def _error(item: TimelineEntry | Gap) -> str:
    """Why something failed, as the record says; empty where nothing did."""
    if not isinstance(item, TimelineEntry):
        return ""
    document = item.document
    if not isinstance(document, dict):
        return ""
    return str(document.get("error") or document.get("reason") or "")


def _cells(item: TimelineEntry | Gap) -> tuple[Cell, ...]:
    if isinstance(item, Gap):
        revisions = f"{item.first}…{item.last}"
        return (
            _moment(item.seen),
            revisions,
            "gap",
            Text(item.reason, DOUBT),
            "",
        )
    return (
        _moment(item.time, at_the_latest=item.at_the_latest),
        str(item.change.revision),
        item.change.kind.value,
        Text(item.says, _style(item)),
        item.author,
    )


def _moment(time: float | None, *, at_the_latest: bool = False) -> Text:
    """As ``--since`` and ``--at`` take it; ``≤`` where the change may be older."""
    if time is None:
        return Text("-", FAINT)
    mark = "≤ " if at_the_latest else ""
    return Text(f"{mark}{stamp(time)}")


def _style(entry: TimelineEntry) -> str:
    says = entry.says
    if "FAILED" in says or "failed" in says:
        return BAD
    if says.startswith(("reported", "the job is complete")):
        return GOOD
    return DOUBT if entry.change.value is None else ""


# Differences --------------------------------------------------------------------------------------


def _with_differences(found: Timeline) -> Iterator[Text]:
    """One line for a change, and one for each value that differs."""
    for item in _in_order(found):
        if _is_quiet(item):
            continue
        time, revision, kind, says, author = _cells(item)
        yield Text.assemble(
            time,
            (f"  revision {revision}  ", FAINT),
            (str(kind), "bold cyan"),
            "  ",
            says,
            (f"  by {author}" if author else "", FAINT),
        )
        if isinstance(item, TimelineEntry):
            yield from map(_short_line, item.differences)


def _short_line(difference: Difference) -> Text:
    """A difference without the end of a long value, such as a whole job record."""
    line = difference_line(difference)
    if len(line) > _LONGEST:
        line.truncate(_LONGEST)
        line.append(" … (-o json has all)", FAINT)
    return line


def difference_line(difference: Difference) -> Text:
    """``~ body.cidr: "192.0.2.0/24" → "192.0.2.0/25"``."""
    path = difference.path or "(all)"
    if difference.masked:
        return Text(f"    ~ {path}: a secret has changed", DOUBT)
    if difference.before is NOTHING:
        return Text(f"    + {path}: {_value(difference.after)}", GOOD)
    if difference.after is NOTHING:
        return Text(f"    - {path}: {_value(difference.before)}", BAD)
    before, after = _value(difference.before), _value(difference.after)
    return Text(f"    ~ {path}: {before} → {after}", DOUBT)


def _value(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
