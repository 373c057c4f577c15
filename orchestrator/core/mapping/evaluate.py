"""A tree on a resource: the value, and every reference taken on the way, in order.

The rules are those of CONTRACT section 4. Values are plain JSON, or contain :class:`OutputOf` where
the value is an output of another resource's stack, to be read when the job runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import MappingError
from ..properties import NO_PROPERTIES, Properties
from ..refs import Json, Ref
from .bounds import Exceeded
from .nodes import (
    Concat,
    Constant,
    Field,
    ForEach,
    Hop,
    If,
    Node,
    ObjectField,
    Output,
    Version,
    reads_outputs,
)
from .patterns import (
    STEPS_PER_CHARACTER,
    Pattern,
    PatternError,
    compile_pattern,
)
from .spelling import spelling
from .texts import text_of
from .values import Evaluated, ListOf, Missing, OutputOf, Scope

__all__ = [
    "Evaluated",
    "ListOf",
    "Missing",
    "OutputOf",
    "Scope",
    "evaluate",
    "plain",
]


ID_LIMIT = 1_000
"""Characters of an id that a hop follows.
Heat takes 255 for the name of a stack, which is made of type and id."""


def evaluate(node: Node, scope: Scope) -> Evaluated:
    """The value of *node* in *scope*.

    :raises Missing: a hop names a resource that is not there.
    :raises MappingError: the mapping does not fit the resource, takes longer or makes more than its
        bounds; the text names both. Nothing else is ever raised.
    """
    references: list[Ref] = []
    budget = scope.budget
    budget.begin()
    try:
        value = _value(node, scope, references)
        if isinstance(value, ListOf):
            budget.keep(value.elements)
        elif type(value) in _SIZED:
            budget.keep(value)
    except (Missing, MappingError):
        raise
    except Exceeded as error:
        raise MappingError(
            f"{scope.ref}: its mapping {error}: {spelling(node)}"
        ) from None
    except Exception as error:
        # Whatever it is, it concerns this resource alone.
        raise MappingError(
            f"{scope.ref}: its mapping raised {type(error).__name__}: {spelling(node)}"
        ) from error
    return Evaluated(value, tuple(references))


_SIZED = frozenset({str, list, dict})
"""Types of values that may be large."""


def plain(node: Node, scope: Scope) -> Json:
    """The value of a mapping that must not need an output, such as a type's ``template_path``."""
    value = evaluate(node, scope).value
    if isinstance(value, (OutputOf, ListOf)):
        raise MappingError(f"{scope.ref}: a stack output cannot be used here")
    return value


def _value(node: Node, scope: Scope, references: list[Ref]) -> Any:
    budget = scope.budget
    budget.steps -= 1
    if budget.steps < budget.floor:
        budget.take(0)
    return _EVALUATE[type(node)](node, scope, references)


def _constant(node: Constant, scope: Scope, references: list[Ref]) -> Json:
    return node.value


def _version(node: Version, scope: Scope, references: list[Ref]) -> Json:
    return scope.version


def _object_field(
    node: ObjectField, scope: Scope, references: list[Ref]
) -> Json:
    return _property(
        _property(scope.here, node.object, scope), node.name, scope
    )


def _concat(node: Concat, scope: Scope, references: list[Ref]) -> str:
    texts = [
        _text(_value(part, scope, references), scope) for part in node.parts
    ]
    scope.budget.make(sum(map(len, texts)))
    return "".join(texts)


def _field(node: Field, scope: Scope, references: list[Ref]) -> Json:
    if not node.path:
        return _here(node.name, scope)
    target = _follow(node.path, node.ignore_missing, scope, references)
    if target is None:
        return _NULL[node.ignore_missing]
    return _property(scope.lookup(target), node.name, scope)


_NULL: Mapping[bool, Json] = {True: "", False: None}
"""What a path gives that ends at a null id, by ``ignore_missing``."""


def _here(name: str, scope: Scope) -> Json:
    """A property of the resource itself; with no name, the element of a loop."""
    if name == "":
        return scope.here
    return _property(scope.here, name, scope)


def _output(
    node: Output, scope: Scope, references: list[Ref]
) -> Json | OutputOf:
    target = _follow(node.path, node.ignore_missing, scope, references)
    if target is None:
        return _NULL[node.ignore_missing]
    return OutputOf(target, node.key)


def _follow(
    path: tuple[Hop, ...],
    ignore_missing: bool,
    scope: Scope,
    references: list[Ref],
) -> Ref | None:
    """The resource at the end of *path*; None when an id on the way is null.

    References are added only when the whole path is taken, or up to the null: with
    ``ignore_missing`` a hop that leads nowhere leaves none.
    """
    taken: list[Ref] = []
    here, properties = scope.here, scope.properties
    for hop in path:
        scope.budget.take(1)
        wanted = here
        if hop.property != "":
            wanted = _property(here, hop.property, scope)
        if wanted is None or wanted == "":
            if not ignore_missing:
                scope.budget.refer(len(taken))
                references += taken
            return None
        target = _target(hop, wanted, properties, scope)
        body = scope.lookup(target)
        if body is None:
            if ignore_missing:
                return None
            raise Missing(target)
        taken.append(target)
        here, properties = body, scope.types(target.type)
    scope.budget.refer(len(taken))
    references += taken
    return taken[-1]


def _target(
    hop: Hop, wanted: Json, properties: Properties, scope: Scope
) -> Ref:
    """The resource that a hop leads to.

    :param wanted: its id, as it stands in the body; not null.
    """
    kind = hop.type or properties.relations.get(hop.property)
    if kind is None:
        raise MappingError(
            f"{scope.ref}: property {hop.property!r} has no relation in the schema;"
            ' name the type in the hop: {"type": …, "id": …}'
        )
    if not isinstance(wanted, (str, int)) or isinstance(wanted, bool):
        raise MappingError(
            f"{scope.ref}: property {hop.property!r} should hold the id of a"
            f" {kind}, not {_kind(wanted)}"
        )
    target = Ref(kind, str(wanted))
    if len(target.id) > ID_LIMIT:
        raise MappingError(
            f"{scope.ref}: property {hop.property!r} is longer than {ID_LIMIT}"
            " characters, so it is no id"
        )
    return target


def _if(node: If, scope: Scope, references: list[Ref]) -> Any:
    left, right = (
        _value(node.left, scope, references),
        _value(node.right, scope, references),
    )
    if any(isinstance(side, (OutputOf, ListOf)) for side in (left, right)):
        raise MappingError(
            f"{scope.ref}: a stack output can be neither concatenated nor compared: it"
            " is known only when the job runs"
        )
    if node.test == "equal":
        holds = _same(left, right, scope)
    else:
        holds = _matches(node, left, right, scope)
    if holds:
        return _value(node.then, scope, references)
    return _value(node.otherwise, scope, references)


def _matches(node: If, left: Json, right: Json, scope: Scope) -> bool:
    pattern = node.pattern or _compiled(node.right, _text(right, scope), scope)
    return pattern.matches(_text(left, scope), scope.budget.take)


def _compiled(source: Node, text: str, scope: Scope) -> Pattern:
    """A pattern that only evaluation knows.
    It comes from a property, so it may be a secret and is not told."""
    scope.budget.take(STEPS_PER_CHARACTER * len(text))
    try:
        pattern = compile_pattern(text)
    except PatternError as error:
        where = (
            f"{scope.ref}: the regular expression that {spelling(source)} gives"
        )
        raise MappingError(f"{where} cannot be used: {error}") from error
    scope.budget.take(STEPS_PER_CHARACTER * (pattern.weight - len(text)))
    return pattern


def _for_each(
    node: ForEach, scope: Scope, references: list[Ref]
) -> Json | ListOf:
    items = _value(node.items, scope, references)
    if items is None:
        items = []
    if not isinstance(items, list):
        raise MappingError(
            f"{scope.ref}: for_field needs a list, not {_kind(items)}"
        )
    properties = _element_properties(node.items, scope)
    elements = [
        _value(node.body, scope.inside(item, properties), references)
        for item in items
    ]
    if any(isinstance(element, ListOf) for element in elements):
        raise MappingError(
            f"{scope.ref}: a loop over outputs inside another loop is not supported"
        )
    # Whether the list reads outputs is a property of the mapping, not of today's elements.
    if reads_outputs(node.body):
        return ListOf(tuple(elements))
    return elements


def _element_properties(items: Node, scope: Scope) -> Properties:
    match items:
        case Field(name, ()):
            return scope.properties.below(name)
        case Field(name, (*_, Hop(_, str(kind)))):
            return scope.types(kind).below(name)
        case _:
            return NO_PROPERTIES


def _property(owner: Json, name: str, scope: Scope) -> Json:
    """A property that is not there counts as null, as in the recordings; one of a null object
    too."""
    if owner is None:
        return None
    if not isinstance(owner, Mapping):
        raise MappingError(
            f"{scope.ref}: property {name!r} is asked of {_kind(owner)}, which is not"
            " an object"
        )
    return owner.get(name)


def _text(value: Any, scope: Scope) -> str:
    """A value inside a text. A null counts as ``""``."""
    if isinstance(value, (OutputOf, ListOf)):
        raise MappingError(
            f"{scope.ref}: a stack output can be neither concatenated nor compared"
        )
    if isinstance(value, str):
        return value
    scope.budget.keep(value)
    return text_of(value)


def _same(left: Json, right: Json, scope: Scope) -> bool:
    """JSON equality: ``1`` and ``true`` differ, which Python's ``==`` denies."""
    if type(left) is not type(right):
        return _numbers_equal(left, right)
    if isinstance(left, (str, list, dict)) and len(left) == len(right):
        scope.budget.compare(left)
    return bool(left == right)


def _numbers_equal(left: Json, right: Json) -> bool:
    numeric = all(
        isinstance(side, (int, float)) and not isinstance(side, bool)
        for side in (left, right)
    )
    return numeric and bool(left == right)


def _kind(value: Json) -> str:
    """What a value is, never what it says: it may be a secret, and the text ends up in logs."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case OutputOf() | ListOf():
            return "a stack output"
        case _:
            return "an object"


_EVALUATE: Mapping[type, Callable[[Any, Scope, list[Ref]], Any]] = {
    Constant: _constant,
    Version: _version,
    Field: _field,
    ObjectField: _object_field,
    Output: _output,
    Concat: _concat,
    If: _if,
    ForEach: _for_each,
}
"""What gives a node its value: the node, what it sees, and where it leaves its references."""
