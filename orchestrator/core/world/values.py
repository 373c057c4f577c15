"""What the world remembers of a record, as far as decisions need it."""

from __future__ import annotations

from dataclasses import dataclass

from ..mapping.evaluate import OutputOf
from ..records import Step
from ..refs import Ref
from ..templates import Template


@dataclass(frozen=True, slots=True)
class Stack:
    """What the stack record of a resource says, as far as decisions need it."""

    status: str
    tenant: str
    monitored: bool = False
    adopted: str = ""
    """The name of the stack, where it is not made of type and id: it was adopted."""

    @property
    def live(self) -> bool:
        """Whether Heat has a stack."""
        return self.status != "DELETE_COMPLETE"


@dataclass(frozen=True, slots=True)
class Reported:
    """The version of the last state record, and the etcd revision of that record."""

    version: int
    revision: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the run of a job: its step and revision, whether Heat may have taken a
    request of it, how many workers in a row have died over it, Heat's own id of its stack, and why
    it is tried again (a :class:`Cause`).
    """

    step: Step
    revision: int
    asked: bool
    deaths: int = 0
    stack: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Lagging:
    """Why an outdated resource is not rebuilt by itself."""

    outputs: tuple[OutputOf, ...]
    """The outputs that it was built from and that have another value now."""
    why: str
    """For people: a sentence without its subject. Empty: its template wants it so, and nobody is
    told."""
    causes: frozenset[Ref] = frozenset()
    """The resources and templates whose change lets it be decided again."""
    circle: tuple[Ref, ...] = ()
    """The circle of outputs that does not settle, from this resource back to it; empty: another
    reason."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A resource that a roll-out has taken: what its jobs are marked with."""

    mark: str
    """Names the roll-out, and whether the job goes back to the revision before."""
    record: str
    """The template of the roll-out, which names its record."""
    revision: int
    """The mod revision of that record: no job is made once it has changed."""
    template: Template | None = None
    """What the jobs are built from, where that is not in force; None: from what is."""

    def builds(self, template_id: str) -> bool:
        """Whether jobs that need this template are built from the roll-out's own."""
        return self.template is not None and self.template.id == template_id
