"""Live properties of the resources inside a stack, against the stack's own template (depth 3).

Compared are properties whose value stands in the template or is a parameter, and whose resource has
an attribute of the same name. All others are counted as not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..documents import members
from ..records import Deviation, DriftKind
from ..refs import Json
from .alike import comparable, same_live
from .inspected import Examined, Inspection

_HIDDEN = "******"


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A property whose value the template does not say by itself."""

    why: str


def compare_properties(shown: Inspection) -> Examined:
    """What differs of the things inside the stack."""
    parts = map(_compare_one, _pairs(shown))
    return Examined.all_of(parts)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One property: what the template gives it, and what the service shows."""

    name: str
    wanted: Json | Unsaid
    live: Json


def _pairs(shown: Inspection) -> Iterator[_Pair]:
    wanted = members(shown.template.get("resources"))
    live = {
        str(one.get("resource_name")): members(one.get("attributes"))
        for one in shown.resources or ()
    }
    for name, resource in wanted.items():
        for key, value in members(members(resource).get("properties")).items():
            said = said_by(value, shown.parameters)
            attributes = live.get(name, {})
            yield _Pair(f"{name}.{key}", said, attributes.get(key))


def _compare_one(pair: _Pair) -> Examined:
    if isinstance(pair.wanted, Unsaid):
        return Examined(skipped=(f"property {pair.name}, {pair.wanted.why}",))
    if not comparable(pair.wanted, pair.live):
        return Examined(
            skipped=(f"property {pair.name}, which is shown in another form",)
        )
    if same_live(pair.wanted, pair.live):
        return Examined()
    says = f"{pair.name} is otherwise than the stack's template says"
    return Examined((Deviation(DriftKind.PROPERTY, pair.name, says),))


def said_by(value: Json, parameters: Mapping[str, str]) -> Json | Unsaid:
    """What a template says of a property: its value, or that of the parameter that it names.

    :param parameters: as Heat shows them; None for a form that nothing is known of.
    """
    match value:
        case {"get_param": str(name), **rest} if not rest:
            given = parameters.get(name)
            if given is None or given == _HIDDEN:
                return Unsaid("which is a hidden parameter")
            return _read(given)
        case dict() if len(value) == 1:
            return Unsaid("which is made by a function of the template")
        case [*elements] if any(
            isinstance(one, dict | list) for one in elements
        ):
            return Unsaid("which is a list of documents")
        case dict():
            return Unsaid("which is a document")
        case _:
            return value


def _read(given: str) -> Json:
    """The value of a parameter: Heat gives lists as JSON."""
    if not given.startswith("["):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given
