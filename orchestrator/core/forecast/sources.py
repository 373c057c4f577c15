"""The template that a stack was built from, and the one that it will be built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..records import Handled
from ..refs import Ref
from ..templates import Template
from ..world import World
from .before import Before, usable

Kept = Callable[[str, str], Template | None]
"""A revision of a template that etcd keeps, by the template's id and the revision; None: it is not
kept, or this release cannot use it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The templates of stacks, before and after a rehearsal.

    :param after: the world when the rehearsal was over.
    """

    before: Before
    after: World
    kept: Kept

    def built_from(self, ref: Ref, handled: Handled) -> Template | None:
        """The template that a stack was built from; where that is not known or not kept, the one
        in force before the plan."""
        in_force = self.before.template(handled.template)
        revision = self._revision(ref, handled)
        if not revision or _is(in_force, revision):
            return in_force
        pin = self.before.pins.get(ref)
        if pin is not None and _is(pin.template, revision):
            return pin.template
        return self.kept(handled.template, revision) or in_force

    def lost(self, ref: Ref, handled: Handled) -> str:
        """The revision that a stack was built from, if it is not kept; else empty."""
        revision = self._revision(ref, handled)
        found = self.built_from(ref, handled)
        if not revision or _is(found, revision):
            return ""
        return revision

    def is_outdated(self, ref: Ref, handled: Handled) -> bool:
        """Whether a stack was built from another revision of its template than its next job would
        be."""
        revision = self._revision(ref, handled)
        found = self.next_for(ref, handled.template)
        return bool(revision) and found is not None and not _is(found, revision)

    def _revision(self, ref: Ref, handled: Handled) -> str:
        """The revision that the last job has built the stack from; empty: it is not known."""
        built = self.before.built.get(ref)
        if built is None or built.job != handled.job:
            return ""
        return built.revision

    def next_for(self, ref: Ref, template_id: str) -> Template | None:
        """The template that the next job is built from: the one in force after the plan, or the one
        that a roll-out brings to this resource."""
        return usable(self.after.template_for(ref, template_id))


def _is(template: Template | None, revision: str) -> bool:
    return template is not None and template.revision == revision
