"""Templates: a Jinja2 text of HOT and the mappings that feed it (CONTRACT section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import InvalidInput, MappingSyntaxError, TemplateError, shortened
from . import policies
from .documents import digest_of, members, parse_json
from .mapping.nodes import Node
from .mapping.parser import Allowance, parse
from .refs import Json

TEMPLATE_TYPE = "heat_template"
"""A template counts as a resource of this type when something waits for it or fails because of it.
"""
SUPPORTED_HANDLER = "heat_worker"
TEXT_LIMIT = 512 * 1024
"""Characters of a template's text: as many as Heat takes of what it renders (max_template_size)."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template that can be used: *mappings* in the order in which they were written."""

    id: str
    text: str
    mappings: tuple[tuple[str, Node], ...]
    revision: str = field(default="", compare=False)
    """The digest of the content: of the text and the mappings, in whatever order those were
    written. The same content has the same revision, in etcd and in the catalogue."""
    source: Mapping[str, Json] = field(
        default_factory=dict, compare=False, repr=False
    )
    """The content: ``{"template_file", "parameter_mappings"}``."""


@dataclass(frozen=True, slots=True)
class BadTemplate:
    """A template that cannot be used, and why; resources that need it say so."""

    id: str
    reason: str


def parse_template(template_id: str, body: Json) -> Template:
    """The template of a ``heat_templates`` document's body.

    :param body: ``{"id", "handler", "watch", "template_file", "parameter_mappings"}``.
    :raises TemplateError: naming the template, and the parameter when a mapping is at fault.
    """
    where = f"template {template_id}"
    if not isinstance(body, Mapping):
        raise TemplateError(f"{where}: the body should be an object")
    handler = body.get("handler", SUPPORTED_HANDLER)
    text, mappings = (
        body.get("template_file"),
        body.get("parameter_mappings", {}),
    )
    if handler != SUPPORTED_HANDLER:
        raise TemplateError(
            f"{where}: unknown handler {shortened(repr(handler))}; known is"
            f" {SUPPORTED_HANDLER!r}"
        )
    if not isinstance(text, str) or not text.strip():
        raise TemplateError(
            f"{where}: template_file should be the template's text"
        )
    if len(text) > TEXT_LIMIT:
        raise TemplateError(
            f"{where}: template_file has {len(text)} characters, and the limit is"
            f" {TEXT_LIMIT}"
        )
    if names := policies.declared(text):
        raise TemplateError(f"{where}: {policies.declares(names)}")
    if not isinstance(mappings, Mapping):
        raise TemplateError(
            f"{where}: parameter_mappings should be an object of parameter: mapping"
        )
    allowance = Allowance()
    parsed = (
        (name, _mapping(where, name, mapping, allowance))
        for name, mapping in mappings.items()
    )
    content = {"template_file": text, "parameter_mappings": dict(mappings)}
    return Template(
        template_id, text, tuple(parsed), digest_of(content), content
    )


def _mapping(
    where: str, name: str, mapping: Json, allowance: Allowance
) -> Node:
    try:
        return parse(mapping, allowance)
    except MappingSyntaxError as error:
        raise TemplateError(
            f"{where}, parameter {shortened(name)}: {error}"
        ) from error


def parse_template_value(
    template_id: str, value: bytes
) -> Template | BadTemplate:
    """The template of a raw value below ``/config/v2.0/heat_templates/``. Never raises."""
    try:
        body = members(parse_json(value)).get("body")
        if isinstance(body, str):
            body = parse_json(body)
        return parse_template(template_id, body)
    except InvalidInput as error:
        return BadTemplate(template_id, str(error))
    except (ValueError, RecursionError) as error:
        return BadTemplate(
            template_id, f"template {template_id}: not JSON: {error}"
        )
