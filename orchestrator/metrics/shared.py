"""Rows that the processes of one worker share, so that one of them shows all.

Celery starts a process for each slot, and starts another one when it ends. prometheus_client would
write files into a folder, for each process that ever was. Here the worker makes memory before it
forks. Each process counts in the row of its slot, and its successor goes on there. So counters
never go back, nothing is left on disk, and a process that is killed loses nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from .cells import Row, layout
from .shapes import Program

MOST_ROWS = 512
"""Processes of one worker that are counted. A page of memory is taken only when it is used."""


class SharedRows:
    """Memory for the rows of a program's processes. Make it before the fork."""

    def __init__(self, program: Program, most: int = MOST_ROWS) -> None:
        self._size, self._most = layout(program).size, most
        self._memory = mmap.mmap(-1, most * self._size * 8)
        self._numbers = memoryview(self._memory).cast("d")

    def row(self, index: int) -> Row:
        """The row of a slot. Slots beyond the last row share it."""
        start = min(index, self._most - 1) * self._size
        return self._numbers[start : start + self._size]

    def used(self) -> Iterator[Row]:
        """The rows in which somebody has counted."""
        for index in range(self._most):
            row = self.row(index)
            if row[0]:
                yield row
