"""What a plan starts from: what was known before it, and what it would write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..mapping.evaluate import OutputOf
from ..records import Built, Failed, Handled, Held
from ..refs import Json, Ref
from ..resources import Wanted
from ..templates import BadTemplate, Template
from ..world import Pin, Stack, World


def usable(template: Template | BadTemplate | None) -> Template | None:
    """A template, if it can be used."""
    if isinstance(template, Template):
        return template
    return None


@dataclass(frozen=True, slots=True)
class Before:
    """A world as it was: the rehearsal goes on to change it."""

    world: World
    """Has the configs and the templates as they were, to evaluate mappings in."""
    wanted: Mapping[Ref, Wanted]
    templates: Mapping[str, Template | BadTemplate]
    handled: Mapping[Ref, Handled]
    held: Mapping[Ref, Held]
    failed: Mapping[Ref, Failed]
    stacks: Mapping[Ref, Stack]
    changed: Mapping[Ref, tuple[OutputOf, ...]]
    """The outputs that each outdated stack was built from and that have another value."""
    built: Mapping[Ref, Built]
    pins: Mapping[Ref, Pin]

    @classmethod
    def of(cls, world: World) -> Before:
        wanted, templates = dict(world.wanted), dict(world.templates)
        return cls(
            World(world.schemas, wanted=wanted, templates=templates),
            wanted,
            templates,
            dict(world.handled),
            dict(world.held),
            dict(world.failed),
            dict(world.stacks),
            {
                ref: outputs
                for ref in world.built_from
                if (outputs := world.changed_outputs(ref))
            },
            dict(world.built_from),
            dict(world.pins),
        )

    def template(self, template_id: str) -> Template | None:
        """A template that can be used."""
        return usable(self.templates.get(template_id))


@dataclass(frozen=True, slots=True)
class BodyVersion:
    """What lies at a key below ``/config``. *body*: None when it cannot be read."""

    version: int
    body: Mapping[str, Json] | None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """One planned write; None: there is no such key."""

    before: BodyVersion | None
    after: BodyVersion | None

    @property
    def versions(self) -> tuple[int | None, int | None]:
        return _version(self.before), _version(self.after)

    @property
    def bodies(
        self,
    ) -> tuple[Mapping[str, Json] | None, Mapping[str, Json] | None]:
        return _body(self.before), _body(self.after)


def _version(document: BodyVersion | None) -> int | None:
    if document is None:
        return None
    return document.version


def _body(document: BodyVersion | None) -> Mapping[str, Json] | None:
    if document is None:
        return None
    return document.body


@dataclass(frozen=True, slots=True)
class Intent:
    """What a plan would write, and what it would ask of the bridge."""

    writes: Mapping[Ref, PlannedWrite] = field(default_factory=dict)
    """By resource or template. Also what is there already just so."""
    rebuilds: frozenset[Ref] = frozenset()
    """The resources that are to be built again as they are."""

    @property
    def empty(self) -> bool:
        """Whether the plan only tells what the bridge would do anyway."""
        return not self.writes and not self.rebuilds
