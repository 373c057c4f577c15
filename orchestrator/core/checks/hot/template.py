"""A whole HOT: its sections, resources, conditions and outputs, and what leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ... import policies
from ...documents import elements, members, one_or_more
from ...refs import Json
from ...source import JsonPath
from ..findings import Finding, Findings, did_you_mean, hint, kind_of
from . import parameters as params
from .functions import (
    check_condition,
    check_functions,
    references,
    used_parameters,
)
from .resource_types import check_nested, check_type
from .scope import Scope
from .types import HeatTypes, ResourceKind, Version
from .values import check_properties

_VERSION = "heat_template_version"


def check_hot(
    hot: Json, heat: HeatTypes, sent: Mapping[str, Json] | None = None
) -> Findings:
    """What Heat would refuse, as far as it shows without a cloud, and what is worth knowing.

    :param hot: the template, as Heat reads it.
    :param sent: the parameters that are sent with it; None when they are not known.
    """
    if not isinstance(hot, dict) or _VERSION not in hot:
        yield Finding(
            (),
            "this is not HOT: expected one object with heat_template_version",
        )
        return
    version = heat.versions.get(str(hot[_VERSION]))
    if version is None:
        known = sorted(heat.versions)
        given = str(hot[_VERSION])
        text = (
            f"there is no version {given[:40]!r}; {did_you_mean(given, known)}"
        )
        yield Finding((_VERSION,), text)
        return
    yield from _check_sections(hot, version)
    sections = {
        name: section
        for name in version.sections
        if isinstance(section := hot.get(name), dict)
    }
    yield from _check_known(sections, version, heat, sent)


def _check_sections(hot: Mapping[str, Json], version: Version) -> Findings:
    for name, section in hot.items():
        if name not in version.sections:
            yield Finding(
                (name,),
                f"there is no section {name!r}{_files_word(name)}; "
                f"{did_you_mean(name, sorted(version.sections))}",
            )
        elif name in (
            "parameters",
            "resources",
            "outputs",
            "conditions",
        ) and not isinstance(section, dict | None):
            yield Finding(
                (name,), f"expected an object, not {kind_of(section)}"
            )


def _files_word(name: str) -> str:
    needs = name in (
        "environment",
        "resource_registry",
        "files",
        "parameter_defaults",
        "parameter_merge_strategies",
    )
    if needs:
        return " in a template, and no environment is sent to Heat"
    return ""


def _check_known(
    sections: Mapping[str, Mapping[str, Json]],
    version: Version,
    heat: HeatTypes,
    sent: Mapping[str, Json] | None,
) -> Findings:
    declared, resources = (
        sections.get("parameters", {}),
        sections.get("resources", {}),
    )
    outputs, conditions = (
        sections.get("outputs", {}),
        sections.get("conditions", {}),
    )
    kinds = {name: _kind(entry, heat) for name, entry in resources.items()}
    scope = Scope(
        heat,
        version,
        params.declared(declared),
        sent or {},
        kinds,
        frozenset(conditions),
    )
    yield from params.check_declarations(declared, version)
    if sent is not None:
        yield from params.check_sent(declared, sent)
    for name in declared:
        if name in policies.RESERVED:
            yield Finding(("parameters", name), policies.declares([name]))
        if name in resources:
            yield Finding(
                ("parameters", name),
                "a resource has the same name; Heat refuses that",
            )
    yield from _check_entries(resources, outputs, conditions, scope)
    yield from _check_groups(sections, declared)
    yield from _check_circles(resources, scope)


def _check_entries(
    resources: Mapping[str, Json],
    outputs: Mapping[str, Json],
    conditions: Mapping[str, Json],
    scope: Scope,
) -> Findings:
    for name, condition in conditions.items():
        yield from check_condition(condition, ("conditions", name), scope)
        yield from check_functions(condition, ("conditions", name), scope)
    for name, resource in resources.items():
        yield from _check_resource(name, resource, scope)
    for name, output in outputs.items():
        yield from _check_output(name, output, scope)


# Resources ----------------------------------------------------------------------------------------


def _kind(entry: Json, heat: HeatTypes) -> ResourceKind | None:
    kind = members(entry).get("type")
    if isinstance(kind, str):
        return heat.kinds.get(kind)
    return None


def _check_resource(name: str, entry: Json, scope: Scope) -> Findings:
    path: JsonPath = ("resources", name)
    if not isinstance(entry, dict):
        yield Finding(
            path, f"expected an object with a type, not {kind_of(entry)}"
        )
        return
    for key in entry:
        if key not in scope.version.resource:
            yield Finding(
                (*path, key),
                f"a resource has no {key!r};"
                f" {did_you_mean(key, sorted(scope.version.resource))}",
            )
    yield from check_type(entry.get("type"), path, scope.heat)
    properties = entry.get("properties")
    if not isinstance(properties, dict | None):
        yield Finding(
            (*path, "properties"),
            f"expected an object, not {kind_of(properties)}",
        )
    elif (kind := scope.kinds[name]) and "external_id" not in entry:
        yield from _check_properties(properties or {}, kind, path, scope)
    for key in ("properties", "metadata", "update_policy"):
        yield from check_functions(entry.get(key), (*path, key), scope)
    yield from check_nested(
        entry.get("type"), properties, (*path, "properties"), scope
    )
    yield from _check_rest(entry, path, scope)


def _check_properties(
    properties: Mapping[str, Json],
    kind: ResourceKind,
    path: JsonPath,
    scope: Scope,
) -> Findings:
    if scope.call(properties, path):
        return  # Made by a function: known only when the stack is built.
    below = path
    if properties:
        below = (*path, "properties")
    yield from check_properties(properties, kind, below, scope)


def _check_rest(
    entry: Mapping[str, Json], path: JsonPath, scope: Scope
) -> Findings:
    for other in one_or_more(entry.get("depends_on")):
        if other is not None and (
            not isinstance(other, str) or other not in scope.kinds
        ):
            word = repr(other) if isinstance(other, str) else kind_of(other)
            yield Finding(
                (*path, "depends_on"),
                f"{word} is no resource; {did_you_mean(str(other), scope.kinds)}",
            )
    policy = entry.get("deletion_policy")
    if (
        isinstance(policy, str)
        and policy not in scope.version.deletion_policies
    ):
        known = sorted(scope.version.deletion_policies)
        yield Finding(
            (*path, "deletion_policy"),
            f"there is no policy {policy!r}; {did_you_mean(policy, known)}",
        )
    if "condition" in entry:
        yield from check_condition(
            entry["condition"], (*path, "condition"), scope
        )
        yield from check_functions(
            entry["condition"], (*path, "condition"), scope
        )


# Outputs and the rest -----------------------------------------------------------------------------


def _check_output(name: str, entry: Json, scope: Scope) -> Findings:
    path: JsonPath = ("outputs", name)
    if not isinstance(entry, dict) or "value" not in entry:
        yield Finding(path, "it has no value")
        return
    for key in entry:
        if key not in scope.version.output:
            yield Finding(
                (*path, key),
                f"an output has no {key!r};"
                f" {did_you_mean(key, sorted(scope.version.output))}",
            )
    yield from check_functions(entry["value"], (*path, "value"), scope)
    if "condition" in entry:
        yield from check_condition(
            entry["condition"], (*path, "condition"), scope
        )
    if not entry.get("description"):
        yield hint(path, "it has no description")


def _check_groups(
    sections: Mapping[str, Mapping[str, Json]], declared: Mapping[str, Json]
) -> Findings:
    groups: Json = sections.get("parameter_groups")
    for place, group in enumerate(elements(groups)):
        for name in elements(members(group).get("parameters")):
            if name not in declared:
                yield Finding(
                    ("parameter_groups", place),
                    f"{name!r} is no parameter; {did_you_mean(str(name), declared)}",
                )


def _check_circles(resources: Mapping[str, Json], scope: Scope) -> Findings:
    """Resources that need each other in a circle."""
    needs = {
        name: list(_needs(name, entry, scope))
        for name, entry in resources.items()
    }
    done: set[str] = set()
    for start in needs:
        if circle := _circle(start, needs, done):
            yield Finding(
                ("resources", circle[0]),
                f"these resources need each other in a circle: {' → '.join(circle)}",
            )
            return


def _needs(name: str, entry: Json, scope: Scope) -> Iterator[str]:
    if not isinstance(entry, dict):
        return
    named = [
        other
        for other in one_or_more(entry.get("depends_on"))
        if isinstance(other, str)
    ]
    named += [
        other
        for _, other in references(
            [entry.get("properties"), entry.get("metadata")], (), scope
        )
    ]
    yield from (other for other in named if other in scope.kinds)


def _circle(
    start: str, needs: Mapping[str, list[str]], done: set[str]
) -> list[str]:
    """The first circle that is met from *start*, its first member at both ends; empty when there is
    none.
    """
    way: list[str] = []
    pending: list[tuple[str, bool]] = [(start, False)]
    while pending:
        name, leave = pending.pop()
        if leave:
            way.pop()
            done.add(name)
        elif name in way:
            return [*way[way.index(name) :], name]
        elif name not in done:
            way.append(name)
            pending.append((name, True))
            pending += [(other, False) for other in needs[name]]
    return []


def unused_parameters(hot: Json) -> frozenset[str]:
    """The parameters that a template declares and no part of it uses."""
    if not isinstance(hot, dict) or not isinstance(hot.get("parameters"), dict):
        return frozenset()
    used = {
        name
        for part in ("resources", "outputs", "conditions")
        for name in used_parameters(hot.get(part))
    }
    return frozenset(name for name in hot["parameters"] if name not in used)
