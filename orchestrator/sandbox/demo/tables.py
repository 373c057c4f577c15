"""The tables that live on a terminal: who has started, and how resources get on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .members import Started
from .rows import DemoRow, DemoStage
from .words import LOOK, because, words

NARROW = 100
"""Columns below which the types are left out, so that there is room for what is waited for."""

FRAME = 6
"""Rows of a terminal that the table needs besides its resources."""


def starting(
    names: Sequence[str],
    up: Mapping[str, Started],
    spinner: Spinner,
    seconds: float,
) -> RenderableType:
    """Who of *names* is up.

    :param seconds: since the beginning.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=1)
    grid.add_column(min_width=20)
    grid.add_column()
    grid.add_column(justify="right", style="dim")
    for name in names:
        if member := up.get(name):
            grid.add_row(
                Text("✔", "green"),
                member.what,
                Text(member.where, "cyan", overflow="ellipsis", no_wrap=True),
                f"{member.seconds:.1f} s",
            )
        else:
            grid.add_row(
                spinner,
                Text(name, "dim"),
                Text("starts", "dim"),
                f"{seconds:.1f} s",
            )
    return Padding(grid, (0, 0, 0, 2))


@dataclass(frozen=True, slots=True)
class Size:
    """What room there is, in columns and rows."""

    width: int
    height: int

    @property
    def narrow(self) -> bool:
        return self.width < NARROW


def progress(
    rows: Sequence[DemoRow], size: Size, spinner: Spinner
) -> RenderableType:
    """How resources get on. Where there is no room for all, those with nothing to build are not
    shown."""
    shown = list(rows)
    if len(rows) + FRAME > size.height:
        shown = [row for row in rows if row.stage is not DemoStage.READ]
    table = _columns(size)
    now = time.monotonic()
    for row in shown:
        cells = _cells(row, spinner, now)
        if not size.narrow:
            cells = (row.ref.type, *cells)
        table.add_row(*cells)
    total = _sum(rows, len(rows) - len(shown))
    return Padding(Group(table, total), (0, 0, 0, 2))


def _columns(size: Size) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    room = size.width - 50  # What the other columns leave.
    if not size.narrow:
        table.add_column("type", no_wrap=True)
        room -= 26
    table.add_column("id", style="bold", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=16)
    table.add_column(
        "waits for",
        width=max(8, min(40, room)),
        no_wrap=True,
        overflow="ellipsis",
    )
    table.add_column("seconds", justify="right", no_wrap=True)
    return table


def _cells(
    row: DemoRow, spinner: Spinner, now: float
) -> tuple[RenderableType, ...]:
    sign, style = LOOK[row.stage]
    mark = Text(sign, style)
    turning = spinner.render(now)
    if row.stage is DemoStage.BUILDS and isinstance(turning, Text):
        mark = turning
    state = Text.assemble(mark, " ", (words(row), style))
    return row.ref.id, state, because(row), _seconds(row, now)


def _seconds(row: DemoRow, now: float) -> Text:
    if not row.since:
        return Text("")
    if row.until:
        return Text(f"{row.until - row.since:.1f}", "dim")
    return Text(f"{now - row.since:.1f}")


def _sum(rows: Sequence[DemoRow], hidden: int) -> Text:
    counted = {
        stage: sum(row.stage is stage for row in rows) for stage in DemoStage
    }
    done = counted[DemoStage.COMPLETE] + counted[DemoStage.READ]
    numbers = (
        (counted[DemoStage.BUILDS], "in Heat"),
        (counted[DemoStage.WAITS], "waiting"),
        (counted[DemoStage.FAILED], "failed"),
        (hidden, "with nothing to build not shown"),
    )
    parts = [f"{done} of {len(rows)} complete"]
    parts += [f"{number} {what}" for number, what in numbers if number]
    text = Text(" · ".join(parts), "dim")
    if done == len(rows):
        text.style = "green"
    return text
