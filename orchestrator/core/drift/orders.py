"""The message by which the bridge has a tenant's stacks compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..refs import Json, Ref

MOST_RESOURCES = 20_000
"""Resources in one message. A tenant with more is compared by several messages, each of which
lists its stacks anew."""


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """Compare the stacks of a tenant. The message carries ids only."""

    tenant: str
    refs: tuple[Ref, ...]
    """The resources that have a stack in the tenant, by the leader's records."""
    asked: str = ""
    """The name of the request of a person (:class:`~..records.SweepAsked`); empty: it is time."""

    def to_message(self) -> dict[str, Json]:
        """``{"tenant": "8d1f", "resources": ["port:p1"], "asked": ""}``."""
        return {
            "tenant": self.tenant,
            "resources": [str(ref) for ref in self.refs],
            "asked": self.asked,
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Json]) -> SweepOrder:
        refs = tuple(Ref(*name.split(":", 1)) for name in message["resources"])
        return cls(message["tenant"], refs, message["asked"])


def is_order(message: Json) -> bool:
    """Whether a message's argument has this form."""
    match message:
        case {"tenant": str(), "resources": list(names), "asked": str()}:
            return len(names) <= MOST_RESOURCES and all(map(_is_name, names))
        case _:
            return False


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and all(value.partition(":"))
