"""What ``orchestrator templates check`` answers, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.text import Text

from ..core.refs import Json
from .checking import Checked
from .entries import Problem
from .output import BAD, DOUBT, GOOD, Section, count


def table(found: Sequence[Checked]) -> list[Section | Text]:
    """A row for each template, a line for each fault and hint, and the verdict."""
    rows = [
        _row(checked)
        for checked in found
        if checked.entry.template or checked.entry.cases or checked.problems
    ]
    faults = [problem for checked in found for problem in checked.problems]
    hints = [hint for checked in found for hint in checked.hints]
    return [
        Section("", ("template", "parameters", "cases", "result"), rows),
        *map(problem_line, [*faults, *hints]),
        _verdict(found, len(faults)),
    ]


def _verdict(found: Iterable[Checked], problems: int) -> Text:
    listed = [checked.entry for checked in found]
    cases = sum(len(entry.cases) for entry in listed)
    templates = sum(entry.template is not None for entry in listed)
    total = f"{count(templates, 'template')}, {count(cases, 'case')}: "
    verdict = ("all is well", GOOD)
    if problems:
        verdict = (count(problems, "problem"), BAD)
    return Text.assemble(total, verdict)


def problem_line(problem: Problem) -> Text:
    """``templates/port/mapping.yaml:7: …``, as compilers write it, so that editors find it."""
    place = shown_path(problem.file)
    if problem.line:
        place = f"{place}:{problem.line}"
    told = Text(f"{place}: ", "bold")
    if problem.hint:
        told.append("hint: ", DOUBT)
    return Text.assemble(told, problem.text)


def _row(checked: Checked) -> tuple[str | Text, ...]:
    entry, problems = checked.entry, len(checked.problems)
    mappings, result = "", Text("ok", GOOD)
    if entry.template:
        mappings = str(len(entry.template.mappings))
    if problems:
        result = Text(count(problems, "problem"), BAD)
    return entry.name, mappings, str(len(entry.cases)), result


def shown_path(file: Path) -> str:
    """The path as short as it can be written from here."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def as_document(checked: Checked) -> Json:
    """What was found in one entry, for programs."""
    entry = checked.entry
    return {
        "name": entry.name,
        "template": entry.template is not None,
        "cases": [case.name for case in entry.cases],
        "problems": [
            _problem_document(problem) for problem in checked.problems
        ],
        "hints": [_problem_document(hint) for hint in checked.hints],
    }


def _problem_document(problem: Problem) -> Json:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "problem": problem.text,
    }
