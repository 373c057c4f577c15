"""What a historian measures: how far it is, and how far behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..events import COUNTS, EventCounts
from ..metrics.cells import Cells, Row
from ..metrics.shapes import Metric, Program
from ..metrics.showing import Exposition


class HistorianMetrics:
    """The values of all metrics of a historian."""

    def __init__(self, events: EventCounts = COUNTS) -> None:
        self._events = events
        self._cells = cells = Cells(Program.HISTORIAN)
        self._revision = cells.number(Metric.HISTORIAN_REVISION)
        self._behind = cells.number(Metric.HISTORIAN_BEHIND)
        self._rows_behind = cells.number(Metric.HISTORIAN_ROWS_BEHIND)
        self._rows_written = cells.number(Metric.HISTORIAN_ROWS)
        self._seen = self._written = 0
        self._waiting = 0
        self.shown = Exposition(Program.HISTORIAN, self._rows)

    def follows(self, positions: Mapping[str, int]) -> None:
        """It begins to follow etcd.

        :param positions: for each prefix, the revision up to which the database has all changes.
        """
        self._seen = self._waiting = 0
        self.wrote(0, 0, positions)

    def read(self, revision: int, changes: int) -> None:
        """The watch has brought changes."""
        self._seen = max(self._seen, revision)
        self._waiting += changes
        self._show()

    def wrote(self, read: int, rows: int, reached: Mapping[str, int]) -> None:
        """Changes are in the database.

        :param read: how many of the changes that were read they were.
        :param rows: how many rows were made of them.
        :param reached: for each prefix, the revision up to which they are all there.
        """
        self._waiting -= read
        # A prefix in which nothing changes stays behind, though nothing is missing.
        self._written = max(reached.values(), default=self._written)
        self._seen = max(self._seen, self._written)
        self._rows_written.add(rows)
        self._show()

    def _show(self) -> None:
        self._revision.set(self._written)
        self._behind.set(self._seen - self._written)
        self._rows_behind.set(max(self._waiting, 0))

    def _rows(self) -> Iterator[Row]:
        cells = self._cells
        for event, times in self._events.read().items():
            at = cells.place(Metric.HISTORIAN_EVENTS, event.value)
            cells.row[at] = times
        yield cells.row
