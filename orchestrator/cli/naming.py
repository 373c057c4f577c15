"""Names that people type: types and ids."""

from __future__ import annotations

import re

from ..clients import places
from ..clients.store import Store
from ..core.checks.findings import did_you_mean
from ..core.keys import Keys
from ..core.refs import Json, Ref
from ..core.templates import TEMPLATE_TYPE
from ..errors import InvalidInput

_STACK_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
"""What Heat takes for the name of a stack, which is made of type and id."""


def check_type(keys: Keys, kind: str) -> str:
    """The type's id; its plural, or its path below the config, will do too.

    :raises InvalidInput: with the names that come near.
    """
    names = {known.id: known.id for known in keys.schemas} | {
        TEMPLATE_TYPE: TEMPLATE_TYPE
    }
    paths = {
        known.path.rpartition("/")[2]: known.id for known in keys.schemas
    } | {known.path: known.id for known in keys.schemas}
    found = names.get(kind) or paths.get(kind.strip("/"))
    if found is None:
        raise InvalidInput(
            f"unknown type {kind!r}{_in_force(keys)};"
            f" {did_you_mean(kind, sorted(names))}"
        )
    return found


def _in_force(keys: Keys) -> str:
    """Which list the bridge works by; empty when no leader has stored one."""
    origin = keys.schemas.origin
    if origin.revision:
        return f" in {origin}, by which the bridge works"
    return ""


def check_id(keys: Keys, kind: str, resource_id: Json) -> str:
    """An id that can be a key, and the end of a stack's name where there is a stack.

    :raises InvalidInput: it cannot.
    """
    if resource_id is None or resource_id == "":
        raise InvalidInput("the id is missing")
    if not isinstance(resource_id, str):
        raise InvalidInput(
            f"the id should be a text; put it in quotes: {resource_id!r}"
        )
    if (
        "/" in resource_id
        or not resource_id.isprintable()
        or resource_id != resource_id.strip()
    ):
        raise InvalidInput(
            f"the id {resource_id!r} cannot be used: no '/', no control characters, no"
            " spaces around it"
        )
    known = keys.schemas.get(kind)
    if (
        known
        and known.template
        and not _STACK_NAME.fullmatch(f"{kind}_{resource_id}")
    ):
        raise InvalidInput(
            f"the id {resource_id!r} cannot be used: it is part of the stack's name,"
            " where Heat takes letters, digits, '_', '.' and '-', 255 of them at most"
        )
    return resource_id


def split(
    kind: str | None, resource_id: str | None
) -> tuple[str | None, str | None]:
    """Type and id of a command line, where ``TYPE:ID``, as every answer writes it, is both."""
    if kind is not None and resource_id is None and ":" in kind:
        kind, _, resource_id = kind.partition(":")
    return kind, resource_id


def resource(keys: Keys, kind: str, resource_id: str) -> Ref:
    """The resource that a command line names."""
    known = check_type(keys, kind)
    return Ref(known, check_id(keys, known, resource_id))


def place(store: Store, keys: Keys, ref: Ref) -> Ref:
    """The same resource, once it is known where it lies.

    :raises InvalidInput: its type's keys are made of more than the id, and there is none for it.
    """
    if not places.search(store, keys, ref):
        kind = keys.schemas.get(ref.type)
        assert kind is not None, "only a type in the list has a key template"
        raise InvalidInput(
            f"nothing is known of {ref}: there is no key of the form /{kind.pattern}"
        )
    return ref
