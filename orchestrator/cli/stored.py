"""The templates that etcd has, as entries of a catalogue: so that the same check can judge them.

Their types come from the schema list, their worked cases from the catalogue's folder of the same
name, if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..clients.store import KeyValue, Store
from ..core.keys import Keys
from ..core.schemas import HEAT_TEMPLATES_PATH, Schemas
from ..core.source import Located
from ..core.templates import BadTemplate, Template, parse_template_value
from .entries import CatalogueEntry, Problem, SourceFile

_TEXT, _MAPPINGS = "template_file", "parameter_mappings"


def entries(
    store: Store, keys: Keys, catalogue: list[CatalogueEntry]
) -> tuple[list[CatalogueEntry], list[str]]:
    """All entries, those of etcd in place of the catalogue's, and the names of those that come from
    etcd."""
    folder = f"{keys.config}{HEAT_TEMPLATES_PATH}/"
    own = {entry.name: entry for entry in with_types(catalogue, keys.schemas)}
    found = [_entry(kv, folder, own) for kv in store.list(folder)[1]]
    return list((own | {entry.name: entry for entry in found}).values()), [
        entry.name for entry in found
    ]


def with_types(
    catalogue: list[CatalogueEntry], schemas: Schemas
) -> list[CatalogueEntry]:
    """The catalogue's entries with the types of the schema list, and those types that it does not
    have."""
    names = {entry.name for entry in catalogue}
    others = [
        CatalogueEntry(kind.id, Path(kind.id), kind=kind)
        for kind in schemas
        if kind.id not in names
    ]
    return [
        *(
            replace(entry, kind=schemas.get(entry.name), schema=None)
            for entry in catalogue
        ),
        *others,
    ]


def _entry(
    kv: KeyValue, folder: str, own: Mapping[str, CatalogueEntry]
) -> CatalogueEntry:
    name, key = kv.key.removeprefix(folder), Path(kv.key)
    base = own.get(name, CatalogueEntry(name, key))
    template = parse_template_value(name, kv.value)
    if isinstance(template, BadTemplate):
        return replace(
            base,
            folder=key,
            template=None,
            mapping=None,
            faults=(Problem(key, 0, template.reason),),
        )
    mapping = SourceFile(key / _MAPPINGS, _without_lines(template))
    return replace(
        base,
        folder=key,
        template=template,
        mapping=mapping,
        faults=(),
        text_name=_TEXT,
    )


def _without_lines(template: Template) -> Located:
    """In etcd a template's mappings are JSON on one line; a finding names the parameter, and that
    is place enough."""
    return Located(
        {_MAPPINGS: dict.fromkeys(name for name, _ in template.mappings)},
        0,
        lambda path: 0,
    )
