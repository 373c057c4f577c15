"""All entries of a catalogue together, and what their worked cases come to: what one entry refers
to is in another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..core.checks import mappings
from ..core.checks.bodies import Shapes
from ..core.checks.hot import HeatTypes
from ..core.refs import Json
from ..core.schemas import ResourceType, Schemas
from ..core.source import Located, SourceError, read_hot
from ..core.templates import Template
from ..errors import InvalidInput
from . import cases
from .cases import Made
from .entries import Case, CatalogueEntry

Names = frozenset[str]


@dataclass(slots=True)
class RenderedCases:
    """What the cases of one entry came to.
    *cases* pairs each with what was made of it, or why nothing was."""

    cases: list[tuple[Case, Made | None, InvalidInput | None]] = field(
        default_factory=list
    )
    outputs: frozenset[str] | None = None


class CheckedCatalogue:
    """All entries together: what one refers to is in another.
    Cases are rendered when they are first needed."""

    def __init__(
        self, entries: list[CatalogueEntry], heat: HeatTypes, schemas: Schemas
    ) -> None:
        self.heat = heat
        self.schemas = schemas
        self.shapes = Shapes(schemas.json_schema)
        self.templates = {
            entry.name: entry.template for entry in entries if entry.template
        }
        self._entries = {entry.name: entry for entry in entries}
        self._rendered: dict[str, RenderedCases] = {}

    def rendered(self, name: str) -> RenderedCases:
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
        if known is None or not known.template:
            return None
        return _together(
            self.rendered(str(name)).outputs
            for name in mappings.choices(known.template) or ()
            if str(name) in self.templates
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


def _render(
    entry: CatalogueEntry, schemas: Schemas, templates: Mapping[str, Template]
) -> RenderedCases:
    rendered = RenderedCases()
    for case in entry.cases:
        try:
            rendered.cases.append(
                (case, cases.make(entry.name, case, schemas, templates), None)
            )
        except InvalidInput as error:
            rendered.cases.append((case, None, error))
    rendered.outputs = _together(
        _output_names(made) for _, made, _ in rendered.cases if made is not None
    )
    return rendered


def _together(found: Iterable[Names | None]) -> Names | None:
    """All names; None when there are none, or some cannot be known."""
    together: set[str] = set()
    number = 0
    for names in found:
        if names is None:
            return None
        together |= names
        number += 1
    if number == 0:
        return None
    return frozenset(together)


def _output_names(made: Made) -> Names | None:
    hot = hot_or_none(made)
    if hot is None:
        return None
    outputs = part(hot, "outputs")
    if isinstance(outputs, dict):
        return frozenset(outputs)
    return None


def part(hot: Located, name: str) -> Json:
    """A part of a rendered template; None when it is not there."""
    if isinstance(hot.value, dict):
        return hot.value.get(name)
    return None


def hot_or_none(made: Made) -> Located | None:
    """The document that a case renders; None when it is not one YAML document."""
    try:
        return hot_of(made)
    except SourceError:
        return None


def hot_of(made: Made) -> Located | None:
    """The document that a case renders; None when there are several.

    :raises SourceError: it is not YAML.
    """
    documents = read_hot(made.request.template)
    if len(documents) == 1:
        return documents[0]
    return None
