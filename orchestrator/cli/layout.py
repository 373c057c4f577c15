"""Tables that fit the terminal: no name is ever broken.

What does not fit is told below its row, or left out: first the columns that a table can do without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..core.texts import clean

Cell: TypeAlias = str | Text

FAINT = "bright_black"
_GAP = 2
"""Spaces between two columns."""
_ROOM = 28
"""Characters that a wide column needs to be read beside the others."""
_TALLEST = 5
"""Lines of a row above which its sentences are told below it, where they have more room."""
_INDENT = 4
"""Spaces before what is told below a row."""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table, before it is known where it will be printed."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    style: str = "bold"
    wide: frozenset[str] = field(default_factory=frozenset)
    """Columns of sentences: they take what room there is, and are told below their row where there
    is little."""
    spare: tuple[str, ...] = ()
    """Columns that a narrow terminal does without: the first of them goes first."""

    def first(self, most: int) -> Section:
        """The same with its first rows only."""
        return replace(self, rows=self.rows[:most])

    def without(self, column: str) -> Section:
        """The same, without a column."""
        place = self.columns.index(column)
        rows = [(*row[:place], *row[place + 1 :]) for row in self.rows]
        columns = (*self.columns[:place], *self.columns[place + 1 :])
        return replace(self, columns=columns, rows=rows)


def seen(text: Cell) -> Text:
    """A text from outside as it may be printed: on one line, with every character to be seen."""
    if isinstance(text, str):
        return Text(clean(text))
    plain = clean(text.plain)
    if plain == text.plain:
        return text
    return Text(plain, text.style)


class FittedTable:
    """A section on a terminal."""

    def __init__(self, section: Section) -> None:
        self._section = section

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        section = fitted(self._section, options.max_width)
        if section.title:
            yield Text(clean(section.title), section.style)
        if _is_too_narrow(section, options.max_width):
            yield from _stacked(section)
        else:
            yield _table(section)
        if lost := lost_columns(self._section, section):
            told = f"Columns that need a wider terminal: {', '.join(lost)}"
            yield Text(told, FAINT)


def fitted(section: Section, width: int) -> Section:
    """The columns for which there is room: what goes below the rows needs none beside them.

    Sentences that no row has are left out too."""
    for column in sorted(section.wide.intersection(section.columns)):
        place = section.columns.index(column)
        if not any(seen(row[place]).plain for row in section.rows):
            section = section.without(column)
    for column in section.spare:
        narrow = [name for name in section.columns if name not in section.wide]
        if _width(section, narrow) <= width:
            return section
        section = section.without(column)
    return section


def _is_too_narrow(section: Section, width: int) -> bool:
    """Whether the sentences of a row are easier to read below it."""
    if _width(section, section.columns) > width:
        return True
    places = [section.columns.index(name) for name in section.wide]
    names = [name for name in section.columns if name not in section.wide]
    if not places:
        return False
    room = (width - _width(section, names)) / len(places) - _GAP
    longest = max(_longest(section, place) for place in places)
    return longest > room * _TALLEST


def lost_columns(whole: Section, fitted: Section) -> list[str]:
    """The columns for which a terminal has no room."""
    return [
        name
        for name in whole.columns
        if name in whole.spare and name not in fitted.columns
    ]


def _width(section: Section, columns: Sequence[str]) -> int:
    """The characters that these columns take side by side."""
    needed = [_needs(section, name) for name in columns]
    return sum(needed) + _GAP * max(len(needed) - 1, 0)


def _needs(section: Section, column: str) -> int:
    """The characters that one column takes."""
    longest = _longest(section, section.columns.index(column))
    if column in section.wide:
        return min(longest, _ROOM)
    return longest


def _longest(section: Section, place: int) -> int:
    cells = (seen(row[place]).cell_len for row in section.rows)
    return max(len(section.columns[place]), *cells, 0)


def _table(section: Section) -> Table:
    """All columns side by side."""
    table = Table(
        box=box.SIMPLE_HEAD,
        header_style="bold",
        pad_edge=False,
        show_edge=False,
        border_style=FAINT,
    )
    for column in section.columns:
        wide = column in section.wide
        table.add_column(column, overflow="fold", no_wrap=not wide)
    for row in section.rows:
        table.add_row(*map(seen, row))
    return table


def _stacked(section: Section) -> Iterator[Text | Padding]:
    """The sentences of a row below it."""
    places = {
        place: _longest(section, place)
        for place, name in enumerate(section.columns)
        if name not in section.wide
    }
    head = [Text(section.columns[place], "bold") for place in places]
    yield _line(head, list(places.values()))
    for row in section.rows:
        cells = [seen(row[place]) for place in places]
        yield _line(cells, list(places.values()))
        for place, cell in enumerate(row):
            told = seen(cell)
            if place in places or not told.plain:
                continue
            if len(section.columns) > len(places) + 1:
                name = (f"{section.columns[place]}: ", FAINT)
                told = Text.assemble(name, told)
            yield Padding(told, (0, 0, 0, _INDENT))


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text(overflow="fold")
    last = len(cells) - 1
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        line.append_text(cell)
        if place < last:
            line.append(" " * (width - cell.cell_len + _GAP))
    return line
