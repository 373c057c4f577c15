"""The keys of our own that are about templates: revisions and roll-outs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from urllib.parse import quote, unquote


class TemplateKeys(ABC):
    """The part of :class:`~.keys.Keys` that is about templates."""

    __slots__ = ()

    @property
    @abstractmethod
    def own(self) -> str:
        """The folder of our own keys."""

    @cached_property
    def revisions(self) -> str:
        """The revisions of templates."""
        return self.own + "templates/"

    @cached_property
    def rollouts(self) -> str:
        """The last roll-out of each template."""
        return self.own + "rollouts/"

    @cached_property
    def candidates(self) -> str:
        """The revisions that roll-outs bring, before they are in force."""
        return self.own + "candidates/"

    @cached_property
    def health(self) -> str:
        """What monitoring targets say, for roll-outs."""
        return self.own + "health/"

    def revisions_of(self, template_id: str) -> str:
        """The folder of the revisions of one template."""
        return f"{self.revisions}{_name(template_id)}/"

    def revision(self, template_id: str, revision: str) -> str:
        return self.revisions_of(template_id) + revision

    def revision_of(self, key: str) -> tuple[str, str]:
        """The template and the revision at a key."""
        folder, _, revision = key.removeprefix(self.revisions).rpartition("/")
        return unquote(folder), revision

    def rollout(self, template_id: str) -> str:
        return self.rollouts + _name(template_id)

    def rollout_template(self, key: str) -> str:
        """The template of the roll-out at a key."""
        return unquote(key.removeprefix(self.rollouts))

    def candidate(self, template_id: str, rollout: str) -> str:
        """The revision that a roll-out brings."""
        return f"{self.candidates}{_name(template_id)}/{rollout}"


def _name(template_id: str) -> str:
    """A template's id as a part of a key."""
    return quote(template_id, safe="")
