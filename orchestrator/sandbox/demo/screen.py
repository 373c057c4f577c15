"""What a person sees: a table that lives on a terminal, one line per change everywhere else."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

from rich.console import Console, RenderableType
from rich.highlighter import JSONHighlighter
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.spinner import Spinner
from rich.text import Text

from orchestrator.core.refs import Ref

from . import bars, tables
from .courses import Course
from .fitting import compact
from .following import Follower
from .members import Started
from .rows import DemoRow, DemoStage
from .words import LOOK, because, words

Overflow: TypeAlias = Literal["ellipsis", "visible"]


class Screen:
    """Everything the demo prints goes through here."""

    def __init__(self, console: Console) -> None:
        self.console = console
        #: Whether things may move on it.
        self.lively = console.is_terminal and not console.is_dumb_terminal
        self._begin = time.monotonic()

    def chapter(self, title: str, sentence: str = "") -> None:
        self.console.print()
        if self.lively:
            self.console.print(
                Rule(Text(title, "bold"), align="left", style="dim")
            )
        else:
            self.console.print(f"== {title}", markup=False, highlight=False)
        if sentence:
            self.say(sentence)

    def say(self, sentence: str, style: str = "", indent: int = 2) -> None:
        """A sentence, wrapped on a terminal and left in one piece elsewhere."""
        if self.lively:
            self.console.print(
                Padding(Text(sentence, style), (0, 0, 0, indent))
            )
        else:
            self.write(Text(" " * indent + sentence, style))

    def write(self, line: Text) -> None:
        """A line as it is: neither wrapped nor cut, so that it can be copied from the screen."""
        self.console.print(line, soft_wrap=True)

    # The servers start ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def starting(
        self, names: Sequence[str]
    ) -> Iterator[Callable[[Started], None]]:
        """Show who of *names* is up; yields what is to be called with each."""
        up: dict[str, Started] = {}
        begin = time.monotonic()
        spinner = Spinner("dots", style="cyan")

        def member_is_up(member: Started) -> None:
            up[member.name] = member
            if not self.lively:
                self.write(Text(_line_of(member)))

        def table() -> RenderableType:
            seconds = time.monotonic() - begin
            return tables.starting(names, up, spinner, seconds)

        with contextlib.ExitStack() as shown:
            if self.lively:
                shown.enter_context(self._live(table))
            yield member_is_up

    def _live(
        self,
        table: Callable[[], RenderableType],
        overflow: Overflow = "ellipsis",
    ) -> Live:
        return Live(
            get_renderable=table,
            console=self.console,
            refresh_per_second=10,
            vertical_overflow=overflow,
        )

    # Progress -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def progress(
        self, follower: Follower, refs: Sequence[Ref]
    ) -> Iterator[None]:
        """Show how these resources get on."""
        if not self.lively:
            with self.lines(follower, time.monotonic()):
                yield
            return
        spinner = Spinner("dots", style="bright_blue")

        def table() -> RenderableType:
            known = {row.ref: row for row in follower.rows()}
            rows = [
                known.get(ref) or DemoRow(ref, 1, DemoStage.WANTED)
                for ref in refs
            ]
            size = tables.Size(self.console.width, self.console.height)
            return tables.progress(rows, size, spinner)

        with self._live(table, "visible"):
            yield

    @contextlib.contextmanager
    def lines(
        self, follower: Follower, begin: float | None = None
    ) -> Iterator[None]:
        """One line per change, with the seconds since *begin*, or else the time of day."""
        lock = threading.Lock()

        def show(row: DemoRow) -> None:
            # What is wanted is told in one sentence.
            if begin is not None and row.stage is DemoStage.WANTED:
                return
            with lock:
                self._line(row, _clock(begin))

        end = follower.listen(show)
        try:
            yield
        finally:
            end()

    def _line(self, row: DemoRow, clock: str) -> None:
        sign, style = LOOK[row.stage]
        line = Text.assemble(
            (f"  {clock}  ", "dim"),
            f"{row.ref.type:<24}{row.ref.id:<13}",
            (f"{sign} {words(row):<15}", style),
            " ",
        )
        if not row.detail:
            line.append(because(row))
        line.rstrip()
        self.write(line)
        if row.detail:
            self.say(row.detail, style, indent=12)

    # Records --------------------------------------------------------------------------------------

    def record(self, number: int, key: str, value: str, sentence: str) -> None:
        """One record: its key, what it is, and its value, cut down to what fits."""
        indent = 6
        self.console.print()
        self.write(Text.assemble(f"  {number} ", (key, "bold cyan")))
        self.say(sentence, "italic", indent=4)
        text = compact(json.loads(value), min(self.console.width, 120) - indent)
        for line in text.splitlines():
            shown = Text(" " * indent + line)
            JSONHighlighter().highlight(shown)
            self.write(shown)

    # Time line ------------------------------------------------------------------------------------

    def time_line(self, courses: Sequence[Course]) -> None:
        """A bar for each course: waiting, in Heat's hands, and being written down."""
        self.console.print()
        for line in bars.time_line(courses, self.console.width):
            self.write(line)
        self.console.print()
        self.write(bars.LEGEND)


def _line_of(member: Started) -> str:
    return f"  {member.seconds:5.1f} s  {member.what:<22} {member.where}"


def _clock(begin: float | None) -> str:
    """The seconds since then, or the time of day."""
    if begin is None:
        return time.strftime("%H:%M:%S")
    return f"{time.monotonic() - begin:6.1f} s"
