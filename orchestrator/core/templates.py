"""Templates: a Jinja2 text of HOT and the mappings that feed it (CONTRACT section 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidInput, MappingSyntaxError, TemplateError
from .mapping.nodes import Node
from .mapping.parser import parse
from .refs import Json

SUPPORTED_HANDLER = "heat_worker"


@dataclass(frozen=True, slots=True)
class Template:
    """A template that can be used: *mappings* in the order in which they were written."""

    id: str
    text: str
    mappings: tuple[tuple[str, Node], ...]


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
    handler, text, mappings = body.get("handler", SUPPORTED_HANDLER), body.get("template_file"), body.get("parameter_mappings", {})
    if handler != SUPPORTED_HANDLER:
        raise TemplateError(f"{where}: unknown handler {handler!r}; known is {SUPPORTED_HANDLER!r}")
    if not isinstance(text, str) or not text.strip():
        raise TemplateError(f"{where}: template_file should be the template's text")
    if not isinstance(mappings, Mapping):
        raise TemplateError(f"{where}: parameter_mappings should be an object of parameter: mapping")
    return Template(template_id, text, tuple((name, _mapping(where, name, mapping)) for name, mapping in mappings.items()))


def _mapping(where: str, name: str, mapping: Json) -> Node:
    try:
        return parse(mapping)
    except MappingSyntaxError as error:
        raise TemplateError(f"{where}, parameter {name}: {error}") from error


def parse_template_value(template_id: str, value: bytes) -> Template | BadTemplate:
    """The template of a raw value below ``/config/v2.0/heat_templates/``. Never raises."""
    try:
        document = json.loads(value)
        body = document.get("body") if isinstance(document, dict) else None
        return parse_template(template_id, json.loads(body) if isinstance(body, str) else body)
    except InvalidInput as error:
        return BadTemplate(template_id, str(error))
    except (ValueError, RecursionError) as error:
        return BadTemplate(template_id, f"template {template_id}: not JSON: {error}")
