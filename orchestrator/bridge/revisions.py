"""The revisions of templates: kept while a stack uses them, and the last five of each template.

So a stack can be built again from the revision that it was built from, and a roll-out can go back.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable

from ..clients.store import Store
from ..clock import Clock
from ..core import effects
from ..core.keys import Keys
from ..core.records import TemplateRevision
from ..core.templates import Template
from ..core.world import World
from ..errors import InvalidInput
from ..events import EventName, count
from .leader import Leadership

log = logging.getLogger(__name__)

KEPT = 5
"""Revisions of a template that are kept although no stack uses them."""


class TemplateRevisions:
    """Writes the revisions that come into force, and removes those that nobody needs."""

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        clock: Clock,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership, self._clock = leadership, clock
        self._stored: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By template: its revisions, each with the mod revision of its record."""

    def begin(self) -> None:
        """Take up what is stored, and write what came into force while nobody led."""
        _, found = self._store.list(self._keys.revisions, keys_only=True)
        for kv in found:
            template, revision = self._keys.revision_of(kv.key)
            self._stored[template][revision] = kv.revision
        used = _used(self._world)
        for template_id in {*self._stored, *self._world.templates}:
            self._follow(template_id, used.get(template_id, ()))

    def changed(self, template_id: str) -> None:
        """A template was written or removed."""
        used = _used(self._world)
        self._follow(template_id, used.get(template_id, ()))

    def _follow(self, template_id: str, used: Iterable[str]) -> None:
        """Write the revision in force, unless it is the last one written."""
        stored = self._stored[template_id]
        template = self._world.templates.get(template_id)
        if isinstance(template, Template):
            last = max(stored, key=stored.__getitem__, default="")
            if template.revision != last:
                self._keep(template)
        needed = set(used)
        if template is not None:
            newest_first = sorted(stored, key=stored.__getitem__, reverse=True)
            needed |= set(newest_first[:KEPT])
        self._remove(template_id, stored.keys() - needed)

    def _keep(self, template: Template) -> None:
        revision = TemplateRevision.of(template, self._clock.stamp())
        try:
            kept = effects.keep_revision(self._keys, revision)
        except InvalidInput as error:
            self._tell_not_kept(template, str(error))
            return
        written = self._leadership.commit(kept)
        self._stored[template.id][template.revision] = written

    def _tell_not_kept(self, template: Template, reason: str) -> None:
        count(EventName.REVISION_NOT_KEPT)
        fields = {
            "event": "revision_not_kept",
            "template": template.id,
            "reason": reason,
        }
        log.warning("Template revision not kept", extra=fields)

    def _remove(self, template_id: str, revisions: Iterable[str]) -> None:
        gone = sorted(revisions)
        if gone:
            dropped = effects.drop_revisions(self._keys, template_id, gone)
            self._leadership.commit(dropped)
        for revision in gone:
            del self._stored[template_id][revision]


def _used(world: World) -> dict[str, set[str]]:
    """The revisions from which stacks were built, and those to which roll-outs can go back, by
    template."""
    used: defaultdict[str, set[str]] = defaultdict(set)
    for built in world.built_from.values():
        used[built.template].add(built.revision)
    for rollout in world.rollouts.values():
        used[rollout.template].add(rollout.before)
    return used
