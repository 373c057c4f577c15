"""What every command writes with: colours and tables on a terminal, plain columns in a pipe, JSON
and YAML for scripts.

Nothing reaches a screen unmasked: values are masked where they are made (:mod:`..views.resource`,
:mod:`.settings_view`).
Nor does a character that is not seen: keys, ids and reasons are written by others, and an escape
sequence in them would be the terminal's to carry out.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from enum import StrEnum

import yaml
from rich.console import Console, Group, RenderableType
from rich.text import Text

from ..core.refs import Json
from ..core.texts import clean, clean_json, clean_yaml, is_odd
from .layout import FAINT, Cell, FittedTable, Section, seen


class Format(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


GOOD, BUSY, CALM, DOUBT, BAD = "green", "cyan", "blue", "yellow", "bold red"

__all__ = [
    "BAD",
    "BUSY",
    "CALM",
    "DOUBT",
    "FAINT",
    "GOOD",
    "Cell",
    "Format",
    "Section",
    "as_columns",
    "as_json",
    "as_renderable",
    "as_yaml",
    "complain",
    "console",
    "count",
    "duration",
    "emit",
    "hint",
    "on_terminal",
    "printable",
    "say",
    "seen",
    "show",
]


def printable() -> None:
    """Escape what cannot be written, such as the bytes of a key that is not UTF-8, instead of
    failing at it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def console() -> Console:
    """stdout. In a pipe nothing is wrapped: what reads it counts lines."""
    return _console(stderr=False)


def _console(*, stderr: bool) -> Console:
    found = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not found.is_terminal:
        found = Console(
            stderr=stderr,
            markup=False,
            highlight=False,
            emoji=False,
            width=10_000,
            soft_wrap=True,
            color_system=None,
        )
    return found


def complain(text: str) -> None:
    """One error, on stderr.
    Its further lines are indented, so that none looks like another error."""
    lines = clean(text, keep="\n").replace("\n", "\n  ")
    _console(stderr=True).print(
        Text.assemble(("error: ", BAD), lines), soft_wrap=True
    )


def hint(text: str) -> None:
    """Something worth knowing that is no part of the answer, on stderr."""
    _console(stderr=True).print(
        Text(clean(text, keep="\n"), FAINT), soft_wrap=True
    )


def on_terminal() -> bool:
    return console().is_terminal


# Documents for scripts ----------------------------------------------------------------------------


def emit(value: Json, form: Format) -> None:
    """A document, for programs: never coloured, never wrapped."""
    text = f"{as_json(value)}\n"
    if form is Format.YAML:
        text = as_yaml(value)
    sys.stdout.write(text)
    sys.stdout.flush()


def as_json(value: Json) -> str:
    return clean_json(json.dumps(value, indent=2, ensure_ascii=False))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, as people write them."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if any(is_odd(letter) for letter in value if letter != "\n"):
        style = '"'
    elif "\n" in value:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(value: Json, width: int = 120) -> str:
    """A value as YAML.

    :param width: characters after which a long text is continued on a further line.
    """
    return clean_yaml(
        yaml.dump(
            value,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=width,
        )
    )


# Tables -------------------------------------------------------------------------------------------


def as_columns(section: Section) -> str:
    """For a pipe: columns with two spaces between them, and never a line break inside a row."""
    rows = [
        tuple(title.upper() for title in section.columns),
        *(tuple(map(_line, row)) for row in section.rows),
    ]
    widths = [
        max(len(row[place]) for row in rows)
        for place in range(len(section.columns))
    ]
    lines = [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    if section.title:
        lines.insert(0, section.title)
    return "\n".join(lines)


def _line(cell: Cell) -> str:
    return " ".join(clean(str(cell)).split()) or "-"


def as_renderable(parts: Iterable[Section | Text]) -> RenderableType:
    """For a terminal, with air between the tables."""
    pieces: list[RenderableType] = []
    before: Section | Text | None = None
    for part in parts:
        if before is not None and (
            isinstance(part, Section) or isinstance(before, Section)
        ):
            pieces.append(Text())
        if isinstance(part, Section):
            pieces.append(FittedTable(part))
        else:
            pieces.append(seen(part))
        before = part
    return Group(*pieces)


def show(parts: Iterable[Section | Text]) -> None:
    """Sections and sentences, one after the other."""
    target, parts = console(), list(parts)
    if target.is_terminal:
        target.print(as_renderable(parts))
        return
    for number, part in enumerate(parts):
        if number and isinstance(part, Section) and part.title:
            sys.stdout.write("\n")
        sys.stdout.write(f"{_plain(part)}\n")
    sys.stdout.flush()


def _plain(part: Section | Text) -> str:
    """For a pipe."""
    if isinstance(part, Section):
        return as_columns(part)
    return clean(str(part))


def say(text: str) -> None:
    """A line on stdout, never coloured, never wrapped; at once, for whoever reads along."""
    sys.stdout.write(f"{clean(text, keep=chr(10))}\n")
    sys.stdout.flush()


def count(number: int, one: str, many: str = "") -> str:
    """``1 network``, ``2 networks``."""
    if number == 1:
        return f"1 {one}"
    return f"{number} {many or one + 's'}"


def duration(seconds: float) -> str:
    """``4 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
