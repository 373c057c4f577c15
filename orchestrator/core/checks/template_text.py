"""A template's text before it is rendered: the variables it uses, and which of its lines made which
line of the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from .findings import Finding, Findings, did_you_mean
from .mappings import JINJA

_OPEN, _CLOSE = "\ue000", "\ue001"
"""Characters that no template has: they are of Unicode's private use area."""
_MARK = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_JINJA = Environment()  # Reads texts; it renders nothing.


def variables(text: str) -> dict[str, int]:
    """The variables that a template needs, each with the line in which it stands first.

    A text that does not parse has none: rendering tells its fault.
    """
    try:
        tree = _JINJA.parse(text)
        needed = find_undeclared_variables(tree) - _JINJA.globals.keys()
    except (TemplateSyntaxError, RecursionError):
        return {}
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in needed and name.ctx == "load":
            lines[name.name] = min(
                name.lineno, lines.get(name.name, name.lineno)
            )
    return lines


def check_variables(used: Mapping[str, int], mapped: Iterable[str]) -> Findings:
    """Variables of the text that no mapping gives. The path of each finding is its line."""
    known = [name for name in mapped if name.startswith(JINJA)]
    for name, line in used.items():
        if name in known:
            continue
        if name.startswith(JINJA):
            yield Finding(
                (line,),
                f"{name} is used, and no mapping gives it; {did_you_mean(name, known)}",
            )
        else:
            text = f"{name} is not there: only mappings named {JINJA}… feed the template"
            yield Finding((line,), text)


# Lines --------------------------------------------------------------------------------------------


def marked(text: str) -> str | None:
    """The template with a mark at the beginning of each line of its own text; None when it has none
    or does not parse.
    """
    if _OPEN in text or _CLOSE in text:
        return None
    try:
        tokens = list(_JINJA.lex(text))
    except TemplateSyntaxError:
        return None
    return "".join(_token_with_marks(*token) for token in tokens)


def _token_with_marks(line: int, kind: str, value: str) -> str:
    if kind != "data":
        return value
    return _with_marks(value, line)


def _with_marks(text: str, line: int) -> str:
    first, *rest = text.split("\n")
    pieces = [f"{_OPEN}{line}{_CLOSE}{first}"]
    pieces += [
        f"{_OPEN}{number}{_CLOSE}{piece}"
        for number, piece in enumerate(rest, line + 1)
    ]
    return "\n".join(pieces)


@dataclass(frozen=True, slots=True)
class LineMap:
    """Which line of the template made which line of what it renders; both count from 1."""

    lines: tuple[int, ...]
    rendered: frozenset[int]

    def line_of(self, line: int) -> int:
        """The template's line, or its last one when the fault is that something is missing; 0 when
        it is not known.
        """
        if self.lines and line > 0:
            return self.lines[min(line, len(self.lines)) - 1]
        return 0


NO_LINES = LineMap((), frozenset())


def line_map(rendered: str, with_marks: str) -> LineMap:
    """From the same template rendered twice, the second time with marks.

    When the marks changed what came out, because the template looks at its own text, no line is
    known.
    """
    if _MARK.sub("", with_marks) != rendered:
        return NO_LINES
    current = 1
    found: list[int] = []
    rendered_lines: set[int] = set()
    for line in with_marks.split("\n"):
        before, *pieces = _MARK.split(line)
        marks = [int(number) for number in pieces[::2]]
        filled = [
            number
            for number, text in zip(marks, pieces[1::2], strict=True)
            if text.strip()
        ]
        rendered_lines.update(filled)
        if not marks:
            found.append(current)
            continue
        if before.strip():
            found.append(current)
        else:
            found.append((filled or marks)[0])
        current = marks[-1]
    return LineMap(tuple(found), frozenset(rendered_lines))


def lines_of_text(text: str) -> frozenset[int]:
    """The lines of a template that hold text of its own, comments left out: what rendering may
    leave out.
    """
    if marked(text) is None:
        return frozenset()
    found: set[int] = set()
    for line, kind, value in _JINJA.lex(text):
        if kind == "data":
            for number, piece in enumerate(value.split("\n"), line):
                if piece.strip() and not piece.strip().startswith("#"):
                    found.add(number)
    return frozenset(found)
