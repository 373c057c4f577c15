"""The worked cases of one entry, checked: their bodies, and what they render."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.checks import mappings
from ..core.checks.findings import Finding, did_you_mean
from ..core.checks.hot import check_hot
from ..core.refs import Json
from ..core.source import Located, SourceError, base_60
from ..errors import InvalidInput, TemplateError
from . import cases
from .cases import Made
from .checked_catalogue import CheckedCatalogue, hot_of, part
from .entries import Case, CatalogueEntry, Problem

_LINE = re.compile(r"line (\d+)")
_PARAMETER = re.compile(r"\bparameter (\w+):|(heat_timeout) should")


def check_case(
    entry: CatalogueEntry,
    case: Case,
    made: Made | None,
    error: InvalidInput | None,
    catalogue: CheckedCatalogue,
) -> Iterator[Problem]:
    """What is wrong with one case.

    :param made: what was made of it; None when there is nothing to build.
    :param error: why nothing was made of it.
    """
    yield from (
        case.source.problem(finding)
        for finding in _check_bodies(entry, case, catalogue)
    )
    if error is not None:
        yield _unbuilt(entry, case, error)
        return
    yield from (
        case.source.problem(finding)
        for finding in cases.unexpected(made, case, entry.name)
    )
    if made is not None:
        yield from _check_rendered(entry, case, made, catalogue)


def _unbuilt(entry: CatalogueEntry, case: Case, error: InvalidInput) -> Problem:
    """A case that comes to nothing: the template's fault, or the case's."""
    named = _PARAMETER.search(str(error))
    if entry.mapping and named:
        line = entry.mapping.located.line_of(
            ("parameter_mappings", named[1] or named[2])
        )
        return Problem(entry.mapping.file, line, f"{error} (case {case.name})")
    if isinstance(error, TemplateError):
        told = _LINE.search(str(error)) or ("", "1")
        named_case = f"{error} (case {case.name})"
        return Problem(entry.text_file, int(told[1]), named_case)
    path = str(error).partition(":")[0].split(".")[0].split("[")[0]
    if path not in case.document:
        path = "resource"
    line = case.source.located.line_of((path,))
    return Problem(case.source.file, line, str(error))


def _check_bodies(
    entry: CatalogueEntry, case: Case, catalogue: CheckedCatalogue
) -> Iterator[Finding]:
    """The bodies of a case fit their types; the outputs it gives are outputs."""
    for finding in catalogue.shapes.of(entry.name).check(
        case.document["resource"]
    ):
        yield finding.below("resource")
    known = [kind.id for kind in catalogue.schemas]
    for place, other in enumerate(case.document.get("related") or ()):
        if not isinstance(other, dict):
            continue
        kind = other.get("type")
        if kind not in known:
            yield Finding(
                ("related", place, "type"),
                f"there is no type {kind!r}; {did_you_mean(str(kind), known)}",
            )
        elif isinstance(other.get("body"), dict):
            for finding in catalogue.shapes.of(kind).check(
                other["body"], whole=False
            ):
                yield finding.below("related", place, "body")
    for kind, by_id in (case.document.get("outputs") or {}).items():
        yield from _check_given_outputs(kind, by_id, catalogue)


def _check_given_outputs(
    kind: str, by_id: Json, catalogue: CheckedCatalogue
) -> Iterator[Finding]:
    outputs = catalogue.outputs(kind)
    if outputs is None or not isinstance(by_id, dict):
        return
    for name, given in by_id.items():
        if not isinstance(given, dict):
            continue
        for key in [key for key in given if key not in outputs]:
            text = (
                f"the template of {kind} has no output {key!r};"
                f" {did_you_mean(key, sorted(outputs))}"
            )
            yield Finding(("outputs", kind, name, key), text)


# The rendered template ----------------------------------------------------------------------------


def _check_rendered(
    entry: CatalogueEntry, case: Case, made: Made, catalogue: CheckedCatalogue
) -> Iterator[Problem]:
    problem = _at_line(entry, case, made)
    try:
        hot = hot_of(made)
    except SourceError as error:
        yield problem(
            error.line, f"the rendered template is not YAML: {error.why}"
        )
        return
    if hot is None:
        yield problem(1, "the rendered template is not one YAML document")
        return
    for line in base_60(made.request.template):
        yield problem(
            line,
            "Heat takes this word for a number in base 60; put it in quotes",
        )
    yield from _check_by_heat(entry, made, hot, catalogue, problem)
    yield from _check_declared(entry, made, hot, catalogue)
    for finding in cases.unexpected_hot(hot.value, case):
        yield case.source.problem(finding)


def _check_declared(
    entry: CatalogueEntry, made: Made, hot: Located, catalogue: CheckedCatalogue
) -> Iterator[Problem]:
    """The parameters that the template declares, against those that its mappings give."""
    declared = part(hot, "parameters")
    own = made.template.id == entry.name
    if not own or not entry.mapping or not isinstance(declared, dict):
        return
    for finding in mappings.check_parameters(
        made.template, catalogue.served(entry.name), declared
    ):
        yield entry.mapping.problem(finding, "parameter_mappings")


def _check_by_heat(
    entry: CatalogueEntry,
    made: Made,
    hot: Located,
    catalogue: CheckedCatalogue,
    problem: Callable[..., Problem],
) -> Iterator[Problem]:
    """What Heat would say. Values that are sent are told where their mappings stand."""
    for finding in check_hot(
        hot.value, catalogue.heat, made.request.parameters
    ):
        if finding.path[:1] == ("sent",) and entry.mapping:
            yield entry.mapping.problem(
                Finding(("parameter_mappings", *finding.path[1:]), finding.text)
            )
        else:
            yield problem(
                hot.line_of(finding.path), str(finding), hint=finding.hint
            )


def _at_line(
    entry: CatalogueEntry, case: Case, made: Made
) -> Callable[..., Problem]:
    """Makes problems of lines of the rendered template: at the line of the template's text, or as
    near as is known."""

    def problem(line: int, text: str, *, hint: bool = False) -> Problem:
        own = made.lines.line_of(line)
        place = case.name
        if not own:
            place += f", line {line} of what it renders"
        file = _text_file(entry, made)
        return Problem(file, own or 1, f"{text} (case {place})", hint)

    return problem


def _text_file(entry: CatalogueEntry, made: Made) -> Path:
    """A type may be served by another folder's template."""
    return entry.folder.parent / made.template.id / entry.text_file.name
