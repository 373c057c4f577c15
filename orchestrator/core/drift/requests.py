"""The template and the parameters that Heat has, against those that we ask for (depth 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..documents import canonical, members
from ..records import Deviation, DriftKind
from ..refs import Json
from ..rendering import StackRequest
from ..source import SourceError
from ..source.heat import read_hot
from .alike import alike
from .inspected import Examined, Inspection, Skipped

_PSEUDO = "OS::"
"""How the names of parameters begin that Heat adds itself."""
_HIDDEN = "******"
"""What Heat shows of a parameter whose value is hidden."""


def compare_request(asked: StackRequest, shown: Inspection) -> Examined:
    """What differs of template and parameters.

    :param asked: what Heat would be asked for the version that is there.
    """
    try:
        [document] = read_hot(asked.template)
    except (SourceError, ValueError):
        return Examined(skipped=(Skipped("a template that cannot be read"),))
    wanted = members(document.value)
    parts = (
        _template(wanted, shown.template),
        _parameters({**_defaults(wanted), **_given(asked)}, shown),
    )
    return Examined.all_of(parts)


def _template(
    wanted: Mapping[str, Json], template: Mapping[str, Json]
) -> Examined:
    changed = (
        part
        for part in dict.fromkeys([*wanted, *template])
        if not _same(part, wanted.get(part), template.get(part))
    )
    found = (
        Deviation(
            DriftKind.TEMPLATE,
            part,
            f"Heat has other {part} in its template than we asked for",
        )
        for part in changed
    )
    return Examined(tuple(found))


def _same(part: str, wanted: Json, shown: Json) -> bool:
    """Whether a part of the template is the same. Heat gives a version as a date or a text, and may
    leave out a part that is empty."""
    if part == "heat_template_version":
        return str(wanted) == str(shown)
    if not wanted and not shown:
        return True
    return canonical(wanted) == canonical(shown)


def _parameters(given: Mapping[str, Json], shown: Inspection) -> Examined:
    """
    :param given: what we ask for, and the defaults of our template.
    """
    names = [name for name in shown.parameters if not name.startswith(_PSEUDO)]
    hidden = tuple(
        Skipped("hidden parameters", name)
        for name in names
        if shown.parameters[name] == _HIDDEN
    )
    return Examined(tuple(_changed(names, given, shown.parameters)), hidden)


def _changed(
    names: Collection[str],
    given: Mapping[str, Json],
    shown: Mapping[str, str],
) -> Iterator[Deviation]:
    for name in names:
        if shown[name] == _HIDDEN or alike(given.get(name), shown[name]):
            continue
        says = f"Heat has another value of parameter {name} than we asked for"
        yield Deviation(DriftKind.PARAMETER, name, says)


def _given(asked: StackRequest) -> dict[str, Json]:
    """What we ask for: in the place of null, Heat takes the default."""
    return {
        name: value
        for name, value in asked.parameters.items()
        if value is not None
    }


def _defaults(template: Mapping[str, Json]) -> dict[str, Json]:
    """What Heat takes where no value is given."""
    declared = members(template.get("parameters"))
    return {
        name: members(parameter).get("default")
        for name, parameter in declared.items()
    }
