"""One stack as Heat shows it in detail, and what a comparison of it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..records import Deviation
from ..refs import Json


@dataclass(frozen=True, slots=True)
class Inspection:
    """A stack in detail. What was not asked for is None.

    *template* is the document that Heat keeps, *parameters* each value as a text, hidden ones as
    asterisks. *resources* are documents of the resources inside, with live ``attributes``.
    *requests* is how many requests it took.
    """

    template: Mapping[str, Json]
    parameters: Mapping[str, str]
    resources: Sequence[Mapping[str, Json]] | None = None
    outputs: Sequence[Json] | None = None
    requests: int = 0


class Skipped(NamedTuple):
    """Something that was not compared: *why*, and its *name*; empty where the reason says all."""

    why: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """What differs, and what was not compared."""

    deviations: tuple[Deviation, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def not_compared(self) -> list[str]:
        """What was not compared, for people: each reason once, with a few names."""
        names: dict[str, list[str]] = {}
        for why, name in self.skipped:
            names.setdefault(why, []).append(name)
        return [_told(why, listed) for why, listed in names.items()]

    def without(self, ignored: Iterable[str]) -> Examined:
        """The same without what a template says to ignore.

        :param ignored: names of parameters, outputs, resources inside the stack, or
            ``resource.property``.
        """
        names = frozenset(ignored)
        kept = tuple(
            one
            for one in self.deviations
            if not names & {one.name, one.name.partition(".")[0]}
        )
        return Examined(kept, self.skipped)

    @classmethod
    def all_of(cls, parts: Iterable[Examined]) -> Examined:
        listed = list(parts)
        return cls(
            tuple(one for part in listed for one in part.deviations),
            tuple(one for part in listed for one in part.skipped),
        )


_NAMED = 5
"""Names that one reason tells."""


def _told(why: str, names: Sequence[str]) -> str:
    named = list(filter(None, names))
    if not named:
        return why
    more = ""
    if len(named) > _NAMED:
        more = f" and {len(named) - _NAMED} more"
    return f"{why} ({', '.join(named[:_NAMED])}{more})"
