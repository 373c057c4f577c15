"""What the leader does about templates: it keeps their revisions, and drives their roll-outs."""

from __future__ import annotations

from ..clients.store import Store
from ..clock import Clock
from ..core.facts import Entry
from ..core.keys import Keys
from ..core.world import World
from .leader import Leadership
from .revisions import TemplateRevisions
from .rollouts import Rollouts


class Templating:
    """Follows the templates, and the records of their roll-outs."""

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        clock: Clock,
    ) -> None:
        self._revisions = TemplateRevisions(
            world, store, keys, leadership, clock
        )
        self._rollouts = Rollouts(world, store, keys, leadership, clock)

    def begin(self, revision: int) -> None:
        """Take up what there is.

        :param revision: the one at which the term has listed everything.
        """
        self._revisions.begin()
        self._rollouts.begin(revision)

    def changed(self, template_id: str) -> None:
        """A template was written or removed."""
        self._revisions.changed(template_id)

    def note(self, entry: Entry) -> None:
        """The record of a roll-out was written or removed."""
        self._rollouts.note(entry)

    def drive(self) -> None:
        """Do what is to be done next in each roll-out."""
        self._rollouts.drive()
