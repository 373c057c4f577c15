"""The time line: a bar for each course."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from .courses import Course

MOST, LEAST = 132, 20
"""Columns of the whole at the most, and of the bars at the least."""


def time_line(courses: Sequence[Course], columns: int) -> Iterator[Text]:
    """Waiting, in Heat's hands, and being written down.

    :param columns: of the screen.
    """
    first = min(course.wanted for course in courses)
    last = max(course.stored for course in courses)
    labels = max(len(_label(course)) for course in courses)
    width = max(LEAST, min(columns, MOST) - labels - 14)
    scale = (last - first) / width
    yield Text(f"  {'':<{labels}}  {_axis(last - first, width)}", "dim")
    for course in courses:
        bar = Text()
        for cell in range(width):
            begin = first + cell * scale
            bar.append(*_cell(course, begin, begin + scale))
        yield Text.assemble(
            "  ",
            (f"{_label(course):<{labels}}", "bold"),
            "  ",
            bar,
            (f" {course.stored - course.wanted:5.1f} s", "dim"),
        )


LEGEND = Text.assemble(
    "  ",
    ("∙", "dim"),
    " waits for others   ",
    ("▒", "cyan"),
    " a worker asks Heat   ",
    ("█", "bright_blue"),
    " Heat works   ",
    ("▓", "green"),
    " outcome written",
)


def _label(course: Course) -> str:
    if course.version > 1:
        return f"{course.ref.id} v{course.version}"
    return course.ref.id


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
    if begin <= course.asked < end:
        return "▒", "cyan"
    return "█", "bright_blue"


def _axis(seconds: float, width: int) -> str:
    """`0 s   5 s   10 s` at their places."""
    steps = (1, 2, 5, 10, 20, 50, 100)
    wide = (step for step in steps if width / (seconds / step) >= 7)
    axis = ""
    for second in range(0, int(seconds) + 1, next(wide, 200)):
        axis = axis.ljust(int(second / seconds * width)) + f"{second} s"
    return axis[: width + 4]
