"""What a person sees: a table that lives on a terminal, one line per change everywhere else."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.highlighter import JSONHighlighter
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.core.refs import Ref
from orchestrator.core.texts import clean

from .fleet import Started
from .following import Course, Follower, Row, Stage

#: Sign and colour of each stage.
LOOK = {
    Stage.WANTED: ("·", "dim"),
    Stage.HELD: ("‖", "magenta"),
    Stage.WAITS: ("‖", "dim"),
    Stage.READY: ("»", "cyan"),
    Stage.ASKS: ("»", "cyan"),
    Stage.RETRIES: ("↻", "yellow"),
    Stage.BUILDS: ("●", "bright_blue"),
    Stage.RECORDS: ("✎", "cyan"),
    Stage.READ: ("✔", "green"),
    Stage.COMPLETE: ("✔", "green"),
    Stage.FAILED: ("✘", "bold red"),
    Stage.GONE: ("✔", "dim"),
}
DOES = {"create": "creates", "modify": "updates", "logical_delete": "deletes"}
DONE = {"create": "created", "modify": "updated", "logical_delete": "deleted"}

#: Columns below which the types are left out, so that there is room for what is waited for.
NARROW = 100

#: Rows of a terminal that the table needs besides its resources.
FRAME = 6


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

        def table() -> RenderableType:
            grid = _grid()
            for name in names:
                if member := up.get(name):
                    where = Text(
                        member.where, "cyan", overflow="ellipsis", no_wrap=True
                    )
                    grid.add_row(
                        Text("✔", "green"),
                        member.what,
                        where,
                        f"{member.seconds:.1f} s",
                    )
                else:
                    grid.add_row(
                        spinner,
                        Text(name, "dim"),
                        Text("starts", "dim"),
                        f"{time.monotonic() - begin:.1f} s",
                    )
            return Padding(grid, (0, 0, 0, 2))

        def member_is_up(member: Started) -> None:
            up[member.name] = member
            if not self.lively:
                self.write(
                    Text(
                        f"  {member.seconds:5.1f} s  {member.what:<22} {member.where}"
                    )
                )

        spinner = Spinner("dots", style="cyan")
        with (
            Live(
                get_renderable=table,
                console=self.console,
                refresh_per_second=10,
            )
            if self.lively
            else contextlib.nullcontext()
        ):
            yield member_is_up

    # Progress -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def progress(
        self, follower: Follower, refs: Sequence[Ref]
    ) -> Iterator[None]:
        """Show how these resources get on."""
        if self.lively:
            spinner = Spinner("dots", style="bright_blue")
            view = Live(
                get_renderable=lambda: self._table(follower, refs, spinner),
                console=self.console,
                refresh_per_second=10,
                vertical_overflow="visible",
            )
            with view:
                yield
        else:
            with self.lines(follower, time.monotonic()):
                yield

    def _table(
        self, follower: Follower, refs: Sequence[Ref], spinner: Spinner
    ) -> RenderableType:
        known = {row.ref: row for row in follower.rows()}
        rows = [known.get(ref) or Row(ref, 1, Stage.WANTED) for ref in refs]
        crowded = len(rows) + FRAME > self.console.height
        shown = (
            [row for row in rows if row.stage is not Stage.READ]
            if crowded
            else rows
        )
        narrow = self.console.width < NARROW
        # What the other columns leave.
        room = self.console.width - (50 if narrow else 76)
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        if not narrow:
            table.add_column("type", no_wrap=True)
        table.add_column("id", style="bold", no_wrap=True)
        table.add_column("state", no_wrap=True, min_width=16)
        table.add_column(
            "waits for",
            width=max(8, min(40, room)),
            no_wrap=True,
            overflow="ellipsis",
        )
        table.add_column("seconds", justify="right", no_wrap=True)
        now = time.monotonic()
        for row in shown:
            sign, style = LOOK[row.stage]
            turning = spinner.render(now)
            mark = (
                turning
                if row.stage is Stage.BUILDS and isinstance(turning, Text)
                else Text(sign, style)
            )
            state = Text.assemble(mark, " ", (_words(row), style))
            seconds = (
                f"{(row.until or now) - row.since:.1f}" if row.since else ""
            )
            cells = (
                row.ref.id,
                state,
                _because(row),
                Text(seconds, "dim" if row.until else ""),
            )
            table.add_row(*cells if narrow else (row.ref.type, *cells))
        return Padding(
            Group(table, self._sum(rows, len(rows) - len(shown))), (0, 0, 0, 2)
        )

    @staticmethod
    def _sum(rows: Sequence[Row], hidden: int) -> Text:
        counted = {
            stage: sum(row.stage is stage for row in rows) for stage in Stage
        }
        done = counted[Stage.COMPLETE] + counted[Stage.READ]
        parts = [f"{done} of {len(rows)} complete"]
        parts += (
            [f"{counted[Stage.BUILDS]} in Heat"]
            if counted[Stage.BUILDS]
            else []
        )
        parts += (
            [f"{counted[Stage.WAITS]} waiting"] if counted[Stage.WAITS] else []
        )
        parts += (
            [f"{counted[Stage.FAILED]} failed"] if counted[Stage.FAILED] else []
        )
        parts += [f"{hidden} with nothing to build not shown"] if hidden else []
        return Text(" · ".join(parts), "green" if done == len(rows) else "dim")

    @contextlib.contextmanager
    def lines(
        self, follower: Follower, begin: float | None = None
    ) -> Iterator[None]:
        """One line per change, with the seconds since *begin*, or else the time of day."""
        lock = threading.Lock()

        def show(row: Row) -> None:
            if begin is not None and row.stage is Stage.WANTED:
                return  # told in one sentence
            sign, style = LOOK[row.stage]
            clock = (
                time.strftime("%H:%M:%S")
                if begin is None
                else f"{time.monotonic() - begin:6.1f} s"
            )
            head = (
                (f"  {clock}  ", "dim"),
                f"{row.ref.type:<24}{row.ref.id:<13}",
                (f"{sign} {_words(row):<15}", style),
                " ",
            )
            line = Text.assemble(*head, "" if row.detail else _because(row))
            line.rstrip()
            with lock:
                self.write(line)
                if row.detail:
                    self.say(row.detail, style, indent=12)

        end = follower.listen(show)
        try:
            yield
        finally:
            end()

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
        first, last = (
            min(course.wanted for course in courses),
            max(course.stored for course in courses),
        )
        labels = max(
            len(course.ref.id) + (3 if course.version > 1 else 0)
            for course in courses
        )
        width = max(20, min(self.console.width, 132) - labels - 14)
        scale = (last - first) / width
        self.console.print()
        self.write(
            Text(f"  {'':<{labels}}  {_axis(last - first, width)}", "dim")
        )
        for course in courses:
            bar = Text()
            for cell in range(width):
                bar.append(
                    *_cell(
                        course, first + cell * scale, first + (cell + 1) * scale
                    )
                )
            label = course.ref.id + (
                f" v{course.version}" if course.version > 1 else ""
            )
            line = Text.assemble(
                "  ",
                (f"{label:<{labels}}", "bold"),
                "  ",
                bar,
                (f" {course.stored - course.wanted:5.1f} s", "dim"),
            )
            self.write(line)
        legend = (
            ("∙", "dim"),
            " waits for others   ",
            ("▒", "cyan"),
            " a worker asks Heat   ",
        )
        more = (
            ("█", "bright_blue"),
            " Heat works   ",
            ("▓", "green"),
            " outcome written",
        )
        self.console.print()
        self.write(Text.assemble("  ", *legend, *more))


def _cell(course: Course, begin: float, end: float) -> tuple[str, str]:
    """One character of a bar: what went on in the middle of it.
    Nothing that happened is too short to be seen."""
    if end <= course.wanted or begin >= course.stored:
        return " ", ""
    middle = (begin + end) / 2
    built = course.built or course.stored
    if begin < course.stored <= end or middle >= built:
        return "▓", "green"
    if not course.asked or middle < course.asked:
        return "∙", "dim"
    return (
        ("▒", "cyan") if begin <= course.asked < end else ("█", "bright_blue")
    )


def _axis(seconds: float, width: int) -> str:
    """`0 s   5 s   10 s` at their places."""
    step = next(
        (
            step
            for step in (1, 2, 5, 10, 20, 50, 100)
            if width / (seconds / step) >= 7
        ),
        200,
    )
    axis = ""
    for second in range(0, int(seconds) + 1, step):
        axis = axis.ljust(int(second / seconds * width)) + f"{second} s"
    return axis[: width + 4]


def _words(row: Row) -> str:
    if row.stage is Stage.BUILDS and row.action:
        return f"Heat {DOES[row.action]}"
    if row.stage is Stage.COMPLETE and row.action:
        return DONE[row.action] + (
            f", version {row.version}" if row.action == "modify" else ""
        )
    if row.stage is Stage.READ:
        return "nothing to build"
    return str(row.stage)


def _because(row: Row) -> Text:
    if row.stage is Stage.FAILED or row.stage is Stage.RETRIES:
        return Text(
            clean(row.detail), "red" if row.stage is Stage.FAILED else "yellow"
        )
    return Text(", ".join(ref.id for ref in row.waits_for), "dim")


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=1)
    grid.add_column(min_width=20)
    grid.add_column()
    grid.add_column(justify="right", style="dim")
    return grid


# JSON that fits -----------------------------------------------------------------------------------

#: Elements of a list, and entries of a nested object, that are shown.
ELEMENTS, ENTRIES = 3, 4

#: Those elements that are worth showing first, by the name they carry.
TELLING = {
    "version",
    "load_balancer",
    "connection_limit",
    "endpoint",
    "monitoring_link",
}

# : Which texts are cut (those of these names; all, where there is no name) to how many characters,
# until the whole fits on a line.
CUTS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("description",), 24),
    (("description",), 12),
    ((), 40),
    ((), 30),
    ((), 18),
)


def compact(
    value: Any, width: int, indent: int = 0, used: int = 0, depth: int = 0
) -> str:
    """JSON for people: what fits stays on one line, long lists and long texts are cut.

    :param used: characters of the first line that are taken by the name before the value.
    """
    room = width - indent - used - 1
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) <= room:
        return flat
    if isinstance(value, str):
        return flat[: max(room - 2, 8)] + '…"'
    if not isinstance(value, dict | list) or not value:
        return flat
    if depth > 1:
        for of, characters in CUTS:
            shorter = json.dumps(
                _cut(value, characters, of), ensure_ascii=False
            )
            if len(shorter) <= room:
                return shorter
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        names = list(value)[: ENTRIES if depth > 1 else None]
        left_out, brackets = len(value) - len(names), "{}"
        parts = [
            f"{json.dumps(name)}:"
            f" {compact(value[name], width, indent + 2, len(name) + 4, depth + 1)}"
            for name in names
        ]
    else:
        telling = [
            entry
            for entry in value
            if isinstance(entry, dict)
            and TELLING & {entry.get("param"), entry.get("output_key")}
        ]
        elements = (telling or value)[:ELEMENTS]
        left_out, brackets = len(value) - len(elements), "[]"
        parts = [
            compact(element, width, indent + 2, 0, depth + 1)
            for element in elements
        ]
    if left_out:
        parts.append(f"… {left_out} more")
    return (
        brackets[0]
        + "\n"
        + ",\n".join(inner + part for part in parts)
        + f"\n{' ' * indent}{brackets[1]}"
    )


def _cut(value: Any, characters: int, names: Sequence[str]) -> Any:
    """The same with no text longer than so many characters; with *names*, only the texts that have
    one of them."""
    if isinstance(value, str):
        return (
            value
            if names or len(value) <= characters
            else value[: characters - 1] + "…"
        )
    if isinstance(value, list):
        return [_cut(entry, characters, names) for entry in value]
    if isinstance(value, dict):
        return {
            name: _cut(entry, characters, () if name in names else names)
            for name, entry in value.items()
        }
    return value
