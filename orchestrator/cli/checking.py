"""``orchestrator templates check``: types, mappings, templates and worked cases of a catalogue.
No server is needed.

Faults are told with file and line.
What is found in a rendered template is told at the line of the template's own text that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..core.checks import mappings, template_text, types
from ..core.checks.findings import Finding, did_you_mean
from ..core.checks.hot import HeatTypes, unused_parameters
from ..core.refs import Json
from ..core.schemas import ResourceType, Schemas
from ..core.templates import Template
from ..errors import InvalidInput
from .checked_catalogue import CheckedCatalogue, RenderedCases, hot_or_none
from .checking_cases import check_case
from .entries import CASES, CatalogueEntry, Problem

_NO_CASE = "there is no worked case; write at least one for each way through the template"


@dataclass(frozen=True, slots=True)
class Checked:
    """One entry and what was found."""

    entry: CatalogueEntry
    problems: tuple[Problem, ...]
    hints: tuple[Problem, ...] = ()


def check(
    entries: Iterable[CatalogueEntry],
    heat: HeatTypes,
    names: Iterable[str] = (),
) -> list[Checked]:
    """Every entry, or those that are named.

    :raises InvalidInput: there is no entry of a name.
    """
    listed = list(entries)
    wanted = set(names)
    known = [entry.name for entry in listed]
    if strangers := wanted - set(known):
        raise InvalidInput(
            f"there is no template {min(strangers)!r};"
            f" {did_you_mean(min(strangers), known)}"
        )
    schemas, clashes = _schemas(listed)
    catalogue = CheckedCatalogue(listed, heat, schemas)
    chosen = [entry for entry in listed if not wanted or entry.name in wanted]
    return [_checked(entry, catalogue, clashes) for entry in chosen]


def _schemas(entries: list[CatalogueEntry]) -> tuple[Schemas, list[Problem]]:
    """The types, without those that cannot be told apart from one before."""
    kinds: list[ResourceType] = []
    clashes: list[Problem] = []
    for entry in entries:
        if entry.kind is None:
            continue
        try:
            Schemas([*kinds, entry.kind])
            kinds.append(entry.kind)
        except InvalidInput as error:
            if entry.schema is not None:
                clashes.append(
                    entry.schema.problem(Finding(("prefix",), str(error)))
                )
    return Schemas(kinds), clashes


def _checked(
    entry: CatalogueEntry, catalogue: CheckedCatalogue, clashes: list[Problem]
) -> Checked:
    own = [
        problem
        for problem in clashes
        if entry.schema and problem.file == entry.schema.file
    ]
    found = [*entry.faults, *own, *_check_entry(entry, catalogue)]
    once = list(
        {
            (problem.file, problem.line, problem.text): problem
            for problem in found
        }.values()
    )
    once.sort(key=lambda problem: (str(problem.file), problem.line))
    faults = tuple(problem for problem in once if not problem.hint)
    return Checked(
        entry, faults, tuple(problem for problem in once if problem.hint)
    )


def _check_entry(
    entry: CatalogueEntry, catalogue: CheckedCatalogue
) -> Iterator[Problem]:
    if entry.schema:
        known = [kind.id for kind in catalogue.schemas]
        for finding in types.check_type(entry.schema.value, entry.name, known):
            yield entry.schema.problem(finding)
        if entry.kind and not entry.kind.fault:
            for finding in mappings.check_choice(
                entry.kind, catalogue.around()
            ):
                yield entry.schema.problem(finding, "metadata", "template_path")
    if entry.template and entry.mapping:
        yield from _check_template(entry, entry.template, catalogue)
    if entry.kind:
        for case, made, error in catalogue.rendered(entry.name).cases:
            yield from check_case(entry, case, made, error, catalogue)


# The template and its mappings, without a case ----------------------------------------------------


def _check_template(
    entry: CatalogueEntry, template: Template, catalogue: CheckedCatalogue
) -> Iterator[Problem]:
    assert entry.mapping is not None
    used = template_text.variables(template.text)
    listed: Json = entry.mapping.value.get("parameter_mappings") or {}
    for finding in mappings.check_mappings(
        template, catalogue.served(entry.name), catalogue.around()
    ):
        yield entry.mapping.problem(finding, "parameter_mappings")
    for finding in mappings.check_names(template, used):
        yield entry.mapping.problem(finding, "parameter_mappings")
    for finding in template_text.check_variables(used, listed):
        yield Problem(entry.text_file, int(finding.path[0]), finding.text)
    if not entry.cases:
        yield Problem(
            entry.folder / CASES, 0, _NO_CASE, hint=entry.schema is None
        )
        return
    rendered = catalogue.rendered(entry.name)
    if all(error is None for _, _, error in rendered.cases):
        yield from _check_coverage(entry, template, rendered)
        yield from _check_unused(entry, template, rendered)


def _check_coverage(
    entry: CatalogueEntry, template: Template, rendered: RenderedCases
) -> Iterator[Problem]:
    """Lines that no case renders: what is wrong in them shows only when somebody needs them."""
    made = [found for _, found, _ in rendered.cases if found is not None]
    if not made or any(found.lines == template_text.NO_LINES for found in made):
        return
    seen = frozenset().union(*(found.lines.rendered for found in made))
    missing = sorted(template_text.lines_of_text(template.text) - seen)
    for first, last in _ranges(missing):
        lines = f"line {first}"
        if first != last:
            lines = f"lines {first} to {last}"
        yield Problem(
            entry.text_file,
            first,
            f"no case renders {lines}; write one that does",
            hint=True,
        )


def _check_unused(
    entry: CatalogueEntry, template: Template, rendered: RenderedCases
) -> Iterator[Problem]:
    """Parameters that are declared and used in no case."""
    hots = [
        hot_or_none(made) for _, made, _ in rendered.cases if made is not None
    ]
    if not hots or any(hot is None for hot in hots):
        return
    unused = frozenset.intersection(
        *(unused_parameters(hot.value) for hot in hots if hot is not None)
    )
    for name in sorted(unused):
        yield Problem(
            entry.text_file,
            _line_of(name, template.text),
            f"parameters.{name}: no part of the template uses it",
            hint=True,
        )


def _line_of(name: str, text: str) -> int:
    """The line on which a parameter is declared; the first one when there is none."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip().startswith(f"{name}:"):
            return number
    return 1


def _ranges(lines: list[int]) -> Iterator[tuple[int, int]]:
    for place, line in enumerate(lines):
        if place == 0 or lines[place - 1] != line - 1:
            last = line
            while last + 1 in lines:
                last += 1
            yield line, last
