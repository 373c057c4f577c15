"""``orchestrator explain``: what a type is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.text import Text

from ..core.schemas import HEAT_TEMPLATES_PATH
from ..core.templates import BadTemplate, Template, parse_template_value
from ..views.explain import ExplainedProperty, TypeView, explain
from . import naming
from .completing import complete_type
from .options import Output
from .output import BAD, FAINT, Format, Section, emit, show
from .session import Session, session

_Kind = Annotated[
    str,
    typer.Argument(
        help="A type, such as port.",
        metavar="TYPE",
        show_default=False,
        autocompletion=complete_type,
    ),
]


def explain_type(kind: _Kind, output: Output = Format.TEXT) -> None:
    """Show what a type is: its properties, the parameters of its templates and where they come
    from, its outputs, and which types refer to it.

    Properties come from the schema list in force, templates from etcd, or else from the catalogue.
    """
    with session() as doors:
        keys = doors.keys
        known = keys.schemas.get(naming.check_type(keys, kind))
        assert known is not None, "the type was checked"
        found = explain(keys, known, _templates(doors))
    if output is Format.TEXT:
        show(_parts(found))
    else:
        emit(found.to_json(), output)


def _templates(doors: Session) -> Mapping[str, Template | BadTemplate]:
    """The templates in force: those in etcd go before those of the catalogue."""
    found: dict[str, Template | BadTemplate] = dict(doors.catalogue.templates)
    keys = doors.keys
    _, listed = doors.store.list(f"{keys.config}{HEAT_TEMPLATES_PATH}/")
    for kv in listed:
        if name := keys.template_id(kv.key):
            found[name] = parse_template_value(name, kv.value)
    return found


def _parts(found: TypeView) -> list[Section | Text]:
    return [
        *_head(found),
        *_section(
            "Properties",
            ("property", "type", "refers to", "values"),
            [
                (
                    one.name,
                    _type(one),
                    one.relation,
                    one.note,
                )
                for one in found.properties
            ],
        ),
        *_section(
            "Parameters of the template",
            ("template", "parameter", "reads the output", "mapping"),
            [
                (one.template, one.name, ", ".join(one.reads), one.mapping)
                for one in found.parameters
            ],
        ),
        *_section(
            "Outputs of the template",
            ("template", "output", "description"),
            [
                (one.template, one.name, one.description)
                for one in found.outputs
            ],
        ),
        *_section(
            "Types that refer to it",
            ("type", "property"),
            [(one.type, one.property) for one in found.referred_by],
        ),
    ]


def _type(one: ExplainedProperty) -> str:
    """``string, required``."""
    if one.required:
        return f"{one.type}, required"
    return one.type


def _head(found: TypeView) -> list[Section | Text]:
    versions = "without versions"
    if found.versioned:
        versions = "with versions"
    keys = found.keys.replace("{{id}}", "ID")
    head = Text.assemble((found.id, "bold"), f"  keys {keys}, {versions}")
    parts: list[Section | Text] = [head]
    if found.fault:
        parts.append(Text(found.fault, BAD))
    parts += [Text(fault, BAD) for fault in found.faults]
    if not found.chosen_by:
        parts.append(Text("Nothing is built for it.", FAINT))
    elif found.templates:
        parts.append(Text(f"Built from template {', '.join(found.templates)}."))
    else:
        parts.append(Text(f"Its template is chosen by {found.chosen_by}."))
    return parts


_WIDE = frozenset({"values", "mapping", "description"})


def _section(
    title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> list[Section]:
    """A table, if there is anything in it; the template only where there are several."""
    if not rows:
        return []
    wide = _WIDE.intersection(columns)
    section = Section(title, columns, rows, wide=wide)
    if columns[0] == "template" and len({row[0] for row in rows}) == 1:
        section = section.without("template")
    return [section]
