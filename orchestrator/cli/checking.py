"""``orchestrator templates check``: types, mappings, templates and worked cases of a catalogue.
No server is needed.

Faults are told with file and line.
What is found in a rendered template is told at the line of the template's own text that made it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.checks import mappings, template_text, types
from ..core.checks.bodies import Shapes
from ..core.checks.findings import Finding, did_you_mean
from ..core.checks.hot import HeatTypes, check_hot, unused_parameters
from ..core.refs import Json
from ..core.schemas import ResourceType, Schemas
from ..core.source import Located, SourceError, base_60, read_hot
from ..core.templates import Template
from ..errors import InvalidInput, TemplateError
from . import cases
from .cases import Made
from .entries import CASES, Case, Entry, Problem

_LINE = re.compile(r"line (\d+)")
_PARAMETER = re.compile(r"\bparameter (\w+):|(heat_timeout) should")
_NO_CASE = "there is no worked case; write at least one for each way through the template"


@dataclass(frozen=True, slots=True)
class Checked:
    """One entry and what was found."""

    entry: Entry
    problems: tuple[Problem, ...]
    hints: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Rendered:
    """What the cases of one entry came to.
    *cases* pairs each with what was made of it, or why nothing was."""

    cases: list[tuple[Case, Made | None, InvalidInput | None]] = field(
        default_factory=list
    )
    outputs: frozenset[str] | None = None


class _Catalogue:
    """All entries together: what one refers to is in another.
    Cases are rendered when they are first needed."""

    def __init__(
        self, entries: list[Entry], heat: HeatTypes, schemas: Schemas
    ) -> None:
        self.heat = heat
        self.schemas = schemas
        self.shapes = Shapes(schemas.json_schema)
        self.templates = {
            entry.name: entry.template for entry in entries if entry.template
        }
        self._entries = {entry.name: entry for entry in entries}
        self._rendered: dict[str, _Rendered] = {}

    def rendered(self, name: str) -> _Rendered:
        """What the cases of an entry come to."""
        if name not in self._rendered:
            self._rendered[name] = _render(
                self._entries[name], self.schemas, self.templates
            )
        return self._rendered[name]

    def outputs(self, kind: str) -> frozenset[str] | None:
        """The outputs of a type's stacks: those of every template that it may choose, as far as
        cases show them."""
        known = self.schemas.get(kind)
        chosen = (
            mappings.choices(known.template)
            if known and known.template
            else None
        )
        found = [
            self.rendered(str(name)).outputs
            for name in chosen or ()
            if str(name) in self.templates
        ]
        if not found or any(outputs is None for outputs in found):
            return None
        return frozenset().union(
            *(outputs for outputs in found if outputs is not None)
        )

    def around(self) -> mappings.Around:
        return mappings.Around(
            self.schemas, self.outputs, frozenset(self.templates)
        )

    def served(self, name: str) -> ResourceType | None:
        """The type whose resources the template of this name serves."""
        own = self.schemas.get(name)
        if own is not None:
            return own
        serving = (
            kind
            for kind in self.schemas
            if kind.template and name in (mappings.choices(kind.template) or ())
        )
        return next(serving, None)


def check(
    entries: Iterable[Entry], heat: HeatTypes, names: Iterable[str] = ()
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
    catalogue = _Catalogue(listed, heat, schemas)
    chosen = [entry for entry in listed if not wanted or entry.name in wanted]
    return [_checked(entry, catalogue, clashes) for entry in chosen]


def _schemas(entries: list[Entry]) -> tuple[Schemas, list[Problem]]:
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
    entry: Entry, catalogue: _Catalogue, clashes: list[Problem]
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


def _check_entry(entry: Entry, catalogue: _Catalogue) -> Iterator[Problem]:
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
    for case, made, error in (
        catalogue.rendered(entry.name).cases if entry.kind else ()
    ):
        yield from _check_case(entry, case, made, error, catalogue)


# The template and its mappings, without a case ----------------------------------------------------


def _check_template(
    entry: Entry, template: Template, catalogue: _Catalogue
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
    elif all(
        error is None for _, _, error in catalogue.rendered(entry.name).cases
    ):
        yield from _check_coverage(
            entry, template, catalogue.rendered(entry.name)
        )
        yield from _check_unused(
            entry, template, catalogue.rendered(entry.name)
        )


def _check_coverage(
    entry: Entry, template: Template, rendered: _Rendered
) -> Iterator[Problem]:
    """Lines that no case renders: what is wrong in them shows only when somebody needs them."""
    made = [found for _, found, _ in rendered.cases if found is not None]
    if not made or any(found.lines == template_text.NO_LINES for found in made):
        return
    seen = frozenset().union(*(found.lines.rendered for found in made))
    missing = sorted(template_text.lines_of_text(template.text) - seen)
    for first, last in _ranges(missing):
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        yield Problem(
            entry.text_file,
            first,
            f"no case renders {lines}; write one that does",
            hint=True,
        )


def _check_unused(
    entry: Entry, template: Template, rendered: _Rendered
) -> Iterator[Problem]:
    """Parameters that are declared and used in no case."""
    hots = [
        _hot_or_none(made) for _, made, _ in rendered.cases if made is not None
    ]
    if not hots or any(hot is None for hot in hots):
        return
    unused = frozenset.intersection(
        *(unused_parameters(hot.value) for hot in hots if hot is not None)
    )
    for name in sorted(unused):
        line = next(
            (
                n
                for n, text in enumerate(template.text.split("\n"), 1)
                if text.strip().startswith(f"{name}:")
            ),
            1,
        )
        yield Problem(
            entry.text_file,
            line,
            f"parameters.{name}: no part of the template uses it",
            hint=True,
        )


def _ranges(lines: list[int]) -> Iterator[tuple[int, int]]:
    for place, line in enumerate(lines):
        if place == 0 or lines[place - 1] != line - 1:
            last = line
            while last + 1 in lines:
                last += 1
            yield line, last


# Cases --------------------------------------------------------------------------------------------


def _render(
    entry: Entry, schemas: Schemas, templates: Mapping[str, Template]
) -> _Rendered:
    rendered = _Rendered()
    for case in entry.cases:
        try:
            rendered.cases.append(
                (case, cases.make(entry.name, case, schemas, templates), None)
            )
        except InvalidInput as error:
            rendered.cases.append((case, None, error))
    outputs = [
        _output_names(made) for _, made, _ in rendered.cases if made is not None
    ]
    if outputs and all(names is not None for names in outputs):
        rendered.outputs = frozenset().union(
            *(names for names in outputs if names is not None)
        )
    return rendered


def _output_names(made: Made) -> frozenset[str] | None:
    hot = _hot_or_none(made)
    outputs = (
        hot.value.get("outputs")
        if hot and isinstance(hot.value, dict)
        else None
    )
    return frozenset(outputs) if isinstance(outputs, dict) else None


def _hot_or_none(made: Made) -> Located | None:
    try:
        return _hot(made)
    except SourceError:
        return None


def _hot(made: Made) -> Located | None:
    documents = read_hot(made.request.template)
    return documents[0] if len(documents) == 1 else None


def _check_case(
    entry: Entry,
    case: Case,
    made: Made | None,
    error: InvalidInput | None,
    catalogue: _Catalogue,
) -> Iterator[Problem]:
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


def _unbuilt(entry: Entry, case: Case, error: InvalidInput) -> Problem:
    """A case that comes to nothing: the template's fault, or the case's."""
    named = _PARAMETER.search(str(error))
    if entry.mapping and named:
        line = entry.mapping.located.line_of(
            ("parameter_mappings", named[1] or named[2])
        )
        return Problem(entry.mapping.file, line, f"{error} (case {case.name})")
    if isinstance(error, TemplateError):
        told = _LINE.search(str(error))
        return Problem(
            entry.text_file,
            int(told[1]) if told else 1,
            f"{error} (case {case.name})",
        )
    path = str(error).partition(":")[0].split(".")[0].split("[")[0]
    place = (path,) if path in case.document else ("resource",)
    return Problem(
        case.source.file, case.source.located.line_of(place), str(error)
    )


def _check_bodies(
    entry: Entry, case: Case, catalogue: _Catalogue
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
    kind: str, by_id: Json, catalogue: _Catalogue
) -> Iterator[Finding]:
    outputs = catalogue.outputs(kind)
    for name, given in by_id.items() if isinstance(by_id, dict) else ():
        for key in (
            given if isinstance(given, dict) and outputs is not None else ()
        ):
            if key not in (outputs or ()):
                text = (
                    f"the template of {kind} has no output {key!r};"
                    f" {did_you_mean(key, sorted(outputs or ()))}"
                )
                yield Finding(("outputs", kind, name, key), text)


# The rendered template ----------------------------------------------------------------------------


def _check_rendered(
    entry: Entry, case: Case, made: Made, catalogue: _Catalogue
) -> Iterator[Problem]:
    problem = _at_line(entry, case, made)
    try:
        hot = _hot(made)
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
    declared = (
        hot.value.get("parameters") if isinstance(hot.value, dict) else None
    )
    if (
        isinstance(declared, dict)
        and entry.mapping
        and made.template.id == entry.name
    ):
        for finding in mappings.check_parameters(
            made.template, catalogue.served(entry.name), declared
        ):
            yield entry.mapping.problem(finding, "parameter_mappings")
    for finding in cases.unexpected_hot(hot.value, case):
        yield case.source.problem(finding)


def _check_by_heat(
    entry: Entry,
    made: Made,
    hot: Located,
    catalogue: _Catalogue,
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


def _at_line(entry: Entry, case: Case, made: Made) -> Callable[..., Problem]:
    """Makes problems of lines of the rendered template: at the line of the template's text, or as
    near as is known."""

    def problem(line: int, text: str, *, hint: bool = False) -> Problem:
        own = made.lines.line_of(line)
        place = "" if own else f", line {line} of what it renders"
        return Problem(
            _text_file(entry, made),
            own or 1,
            f"{text} (case {case.name}{place})",
            hint,
        )

    return problem


def _text_file(entry: Entry, made: Made) -> Path:
    """A type may be served by another folder's template."""
    return entry.folder.parent / made.template.id / entry.text_file.name
