"""The template that serves a config, and the parameters that its mappings give.

A mapping that cannot be evaluated is an :data:`Obstacle`, never an exception.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import MappingError
from ..jobs import Param
from ..mapping.evaluate import Missing, evaluate, plain
from ..records import Handled
from ..refs import Ref
from ..resources import Wanted
from ..schemas import ResourceType
from ..templates import TEMPLATE_TYPE, BadTemplate, Template
from ..world import World
from .decisions import Hold, Obstacle, Refusal, held


def template_of(
    world: World, wanted: Wanted, kind: ResourceType
) -> Template | Obstacle | None:
    """The template that serves the resource; None when there is nothing to build."""
    if kind.template is None:
        return None
    try:
        chosen = plain(kind.template, world.scope(wanted, kind))
    except Missing as missing:
        return _missing(world, wanted, missing.ref)
    except MappingError as error:
        return Refusal(f"template_path of type {kind.id}: {error}", wanted.ref)
    if chosen is None:
        return None
    if not isinstance(chosen, str) or not chosen:
        return Refusal(
            f"template_path of type {kind.id} gives no template's id for"
            f" {wanted.ref}",
            wanted.ref,
        )
    return _template_named(world, wanted, chosen)


def _template_named(
    world: World, wanted: Wanted, name: str
) -> Template | Obstacle:
    template = world.template_for(wanted.ref, name)
    if template is None:
        return held(
            wanted,
            Ref(TEMPLATE_TYPE, name),
            f"template {name!r} is neither in etcd nor in the catalogue; push it",
        )
    if isinstance(template, BadTemplate):
        return Refusal(template.reason, Ref(TEMPLATE_TYPE, name))
    return template


def params_of(
    world: World, wanted: Wanted, kind: ResourceType, template: Template
) -> tuple[Param, ...] | Obstacle:
    """The parameters of the template, by its mappings."""
    scope = world.scope(wanted, kind)
    params: list[Param] = []
    for name, node in template.mappings:
        try:
            params.append(Param.of(name, evaluate(node, scope)))
        except Missing as missing:
            return _missing(world, wanted, missing.ref)
        except MappingError as error:
            return Refusal(
                f"template {template.id}, parameter {name}: {error}",
                wanted.ref,
            )
    return tuple(params)


def _missing(world: World, wanted: Wanted, other: Ref) -> Hold:
    """A mapping leads to a resource that is not there."""
    if world.schemas.get(other.type) is None:
        return held(
            wanted,
            other,
            f"refers to {other}, whose type is not in {world.schemas.origin};"
            " add it there, or correct the mapping",
        )
    return held(
        wanted,
        other,
        f"refers to {other}, which is not in the configuration (yet)",
    )


def deletion_params(
    world: World, source: Wanted, handled: Handled | None
) -> tuple[str, tuple[Param, ...]]:
    """Template id and parameters of a deletion: as for a change.

    Where those cannot be had, the recorded references alone.
    """
    kind = world.schemas.get(source.ref.type)
    template = kind and template_of(world, source, kind)
    if kind is not None and isinstance(template, Template):
        params = params_of(world, source, kind, template)
        if isinstance(params, tuple):
            return template.id, params
    if handled is None:
        return "", ()
    return handled.template, tuple(
        Param(name, None) for name in handled.references
    )


def earlier_references(
    world: World, ref: Ref, handled: Handled, template_id: str
) -> Mapping[str, Sequence[Ref]]:
    """The references of the config handled last, by parameter, as they are today: what it refers to
    may have come since.

    Where they cannot be evaluated any more, as they were recorded.
    """
    template = world.template_for(ref, template_id)
    kind = world.schemas.get(ref.type)
    if kind is None or not isinstance(template, Template):
        return handled.references
    before = Wanted(ref, handled.version, handled.body)
    scope = world.scope(before, kind)
    found: dict[str, Sequence[Ref]] = {}
    for name, node in template.mappings:
        try:
            found[name] = evaluate(node, scope).references
        except (Missing, MappingError):
            found[name] = handled.references.get(name, ())
    return found
