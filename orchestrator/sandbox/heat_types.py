"""Writes down what Heat knows of its resource types and template versions, for checks without a
Heat.

    python -m orchestrator.sandbox.heat_types --write     # after a new release of Heat is supported
    python -m orchestrator.sandbox.heat_types --check     # whether the file is what the installed
    Heat says

The result is ``orchestrator/clients/heat_types.json.gz``; :mod:`orchestrator.core.checks.hot.types`
reads it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points, version
from typing import Any
from unittest import mock

from oslo_service import backend

backend.init_backend(
    backend.BackendType.THREADING
)  # Heat asks for one when it is imported.

from heat.engine import constraints, resource, resources, translation  # noqa: E402
from heat.engine.hot import functions as hot_functions  # noqa: E402
from heat.engine.resources.openstack.heat import none_resource  # noqa: E402

from orchestrator.clients.heat_types import FILE  # noqa: E402
from orchestrator.core.refs import Json  # noqa: E402

_TEMPLATES = "heat.templates"
_HOT = "heat_template_version."


def document() -> dict[str, Json]:
    """What the installed Heat knows, as JSON."""
    logging.disable(logging.WARNING)  # Heat warns of each type that is hidden.
    resources.initialise()
    return {
        "heat": version("openstack-heat"),
        "versions": dict(sorted(_versions())),
        "types": dict(sorted(_types())),
    }


def encoded(found: Json) -> bytes:
    """The file's content: the same for the same document."""
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


# Template versions --------------------------------------------------------------------------------


def _versions() -> Iterator[tuple[str, Json]]:
    for entry in entry_points(group=_TEMPLATES):
        if entry.name.startswith(_HOT):
            yield entry.name.removeprefix(_HOT), _version(entry.load())


def _version(template: Any) -> Json:
    functions: Mapping[str, Any] = template.functions
    return {
        "sections": sorted(
            section
            for section in template.SECTIONS
            if not section.startswith("__")
        ),
        "resource": sorted(template._RESOURCE_KEYS),
        "output": sorted(template.OUTPUT_KEYS),
        "parameter": sorted(
            set(template.param_schema_class.PARAMETER_KEYS) - {"schema"}
        ),
        "deletion_policies": sorted(template.deletion_policies),
        "functions": sorted(
            name
            for name, made in functions.items()
            if made is not hot_functions.Removed
        ),
        "conditions": sorted(getattr(template, "condition_functions", {})),
        "optional_else": (
            functions.get("if")
            is getattr(hot_functions, "IfNullable", None)
            is not None
        ),
    }


# Resource types -----------------------------------------------------------------------------------


def _types() -> Iterator[tuple[str, Json]]:
    environment = resources.global_env()
    for name in environment.get_types(support_status=None) + _hidden(
        environment
    ):
        yield name, _type(environment.get_class(name))


def _hidden(environment: Any) -> list[str]:
    """Types that Heat still takes and no longer lists."""
    listed = set(environment.get_types())
    return [
        name
        for name in environment.registry._registry
        if "::" in name and "*" not in name and name not in listed
    ]


def _type(kind: Any) -> Json:
    found: dict[str, Json] = {
        "properties": {
            name: _property(schema)
            for name, schema in kind.properties_schema.items()
        },
        "attributes": {
            name: _lower(schema.type)
            for name, schema in kind.attributes_schema.items()
        },
    }
    if kind.get_attribute is not resource.Resource.get_attribute:
        found["any_attribute"] = True
    if issubclass(kind, none_resource.NoneResource):
        found["any_property"] = True
        found["retired"] = kind is not none_resource.NoneResource
    if instead := sorted(_replaced(kind)):
        found["instead"] = instead
    if kind.update_policy_schema:
        found["update_policy"] = {
            name: _property(schema)
            for name, schema in kind.update_policy_schema.items()
        }
    return found


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _replaced(kind: Any) -> Iterator[list[str]]:
    """Pairs of top-level properties ``[new, old]``: who gives the old one need not give the new
    one."""
    made = object.__new__(kind)
    made.client_plugin = made.client = mock.MagicMock()
    made.is_using_neutron = lambda: True
    try:
        rules = made.translation_rules(mock.MagicMock()) or []
    except Exception as error:
        print(
            f"{kind.__name__}: no translation rules: {error!r}", file=sys.stderr
        )
        return
    for rule in rules:
        old = rule.value_path or ([rule.value_name] if rule.value_name else [])
        replaces = rule.rule in (
            translation.TranslationRule.REPLACE,
            translation.TranslationRule.ADD,
        )
        if replaces and old:
            yield [
                ".".join(rule.translation_path),
                ".".join(
                    [*rule.translation_path[:-1], *old]
                    if rule.value_name
                    else old
                ),
            ]


def _property(schema: Any) -> Json:
    found: dict[str, Json] = {"type": schema.type.lower()}
    if schema.required:
        found["required"] = True
    if schema.default is not None:
        found["default"] = True
    if schema.update_allowed:
        found["update"] = True
    if schema.allow_conversion:
        found["conversion"] = True
    if not schema.implemented:
        found["missing"] = True
    for constraint in schema.constraints:
        found.update(_constraint(constraint))
    if schema.schema is not None:
        if schema.type == schema.LIST:
            found["element"] = _property(schema.schema["*"])
        else:
            found["schema"] = {
                name: _property(inner) for name, inner in schema.schema.items()
            }
    return found


def _constraint(found: Any) -> dict[str, Json]:
    match found:
        case constraints.Length():
            return {"length": [found.min, found.max]}
        case constraints.Range():
            return {"range": [found.min, found.max]}
        case constraints.Modulo():
            return {"modulo": [found.step, found.offset]}
        case constraints.AllowedValues():
            return {"values": list(found.allowed)}
        case constraints.AllowedPattern():
            return {"pattern": found.pattern}
        case constraints.CustomConstraint():
            return {"custom": found.name}
    raise TypeError(f"a constraint of an unknown kind: {found!r}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--write", action="store_true", help="write the file anew"
    )
    what.add_argument(
        "--check",
        action="store_true",
        help="compare it with what the installed Heat says",
    )
    chosen = parser.parse_args()
    content = encoded(document())
    if chosen.write:
        FILE.write_bytes(content)
        print(f"{FILE}: {len(content)} bytes")
        return 0
    same = FILE.exists() and gzip.decompress(
        FILE.read_bytes()
    ) == gzip.decompress(content)
    if same:
        print(f"{FILE} is what the installed Heat says")
        return 0
    print(f"{FILE} is not what the installed Heat says")
    return 1


if __name__ == "__main__":
    sys.exit(main())
