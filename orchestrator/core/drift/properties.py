"""Live properties of the resources inside a stack, against the stack's own template (depth 3).

Compared are properties whose value stands in the template or is a parameter, and whose resource has
an attribute of the same name. All others are counted as not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..documents import members, parse_json
from ..records import Deviation, DriftKind
from ..refs import Json
from .alike import comparable, same_live
from .inspected import Examined, Inspection, Skipped

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
    given = dict(_given(shown))
    live = {
        str(one.get("resource_name")): members(one.get("attributes"))
        for one in shown.resources or ()
    }
    for name, resource in wanted.items():
        for key, value in members(members(resource).get("properties")).items():
            said = said_by(value, given)
            attributes = live.get(name, {})
            yield _Pair(f"{name}.{key}", said, attributes.get(key))


def _compare_one(pair: _Pair) -> Examined:
    if isinstance(pair.wanted, Unsaid):
        return Examined(skipped=(Skipped(pair.wanted.why, pair.name),))
    if pair.wanted in (None, "", [], {}):
        return Examined()  # The template leaves it to the service.
    if not comparable(pair.wanted, pair.live):
        why = "properties that are shown in another form"
        return Examined(skipped=(Skipped(why, pair.name),))
    if same_live(pair.wanted, pair.live):
        return Examined()
    says = f"{pair.name} differs from what the stack's template says"
    return Examined((Deviation(DriftKind.PROPERTY, pair.name, says),))


def said_by(value: Json, given: Mapping[str, Json | Unsaid]) -> Json | Unsaid:
    """What a template says of a property: its value, or that of the parameter that it names.

    :param given: the values of the parameters.
    """
    match value:
        case {"get_param": str(name), **rest} if not rest:
            return given.get(name)
        case dict() if len(value) == 1:
            return Unsaid("properties made by functions")
        case [*elements] if any(
            isinstance(one, dict | list) for one in elements
        ):
            return Unsaid("properties that are documents")
        case dict():
            return Unsaid("properties that are documents")
        case _:
            return value


def _given(shown: Inspection) -> Iterator[tuple[str, Json | Unsaid]]:
    """The values of the parameters, by their declared types."""
    declared = members(shown.template.get("parameters"))
    for name, text in shown.parameters.items():
        yield name, _value(text, members(declared.get(name)).get("type"))


def _value(text: str, kind: Json) -> Json | Unsaid:
    if text == _HIDDEN:
        return Unsaid("properties with a hidden value")
    if kind == "comma_delimited_list":
        return [part for part in text.split(",") if part]
    if kind == "json":
        try:
            return parse_json(text)
        except (ValueError, RecursionError):
            return text
    return text
