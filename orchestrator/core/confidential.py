"""Which values of a job are secret: wherever they come from, and whatever the parameter is called.

By the names of the resource's properties and of the parameters; by the names of what the mappings
read, of other resources and of their stacks' outputs; and by what the template declares ``hidden``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import yaml

from .documents import inside, members
from .jobs import Job
from .mapping.evaluate import ListOf, OutputOf
from .mapping.nodes import Concat, Field, ForEach, If, Node, ObjectField, Output
from .masking import is_secret, secrets, texts
from .refs import Json
from .rendering import StackRequest
from .templates import Template

_SAYS_HIDDEN = ("hidden", "NoEcho")
"""How HOT, and the older form of Heat's templates, declare a parameter whose value is not to be
shown."""
_NOT = frozenset({"false", "no", "off", "0", "", "none", "null", "~"})
_JINJA = re.compile(r"\{[%#{]")
_JINJA_END = {"{%": "%}", "{#": "#}", "{{": "}}"}
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Reads every word as a text.
Numbers, dates and merged keys could take a hostile document for ever."""
_MOST_VALUES = 10_000
"""Values in the defaults of hidden parameters. A few aliases can stand for any number of them."""


def by_name(job: Job) -> Iterator[str]:
    """The secret texts and numbers of a job that show by their own names."""
    yield from secrets(dict(job.body))
    yield from secrets(
        {param.name: _plain(param.value) for param in job.params}
    )


def of_job(
    job: Job, template: Template | None, request: StackRequest | None = None
) -> Iterator[str]:
    """Every secret text and number of a job.

    :param template: None when it is not known any more.
    :param request: what Heat was asked.
        Without it the outputs of other stacks are not known, and what the template declares is read
        from the template as it stands.
    """
    yield from by_name(job)
    values = {param.name: _plain(param.value) for param in job.params}
    if request is not None:
        values |= {**request.parameters, **request.variables}
        yield from secrets(values)
    hidden = _declared(template, request)
    named = _named(job, template)
    for name, value in values.items():
        if hidden is None or name in hidden or name in named:
            yield from texts(value)
    for default in (hidden or {}).values():
        yield from texts(default)


def of_body(
    body: Mapping[str, Json], template: Template | None
) -> Iterator[str]:
    """Every secret text and number of a body: by its properties' names, and by the parameters that
    they feed."""
    yield from secrets(dict(body))
    if template is None:
        return
    hidden = _declared_in_source(template.text)
    for name, mapping in template.mappings:
        if hidden is None or name in hidden or is_secret(name):
            for path in _own_properties(mapping):
                yield from texts(_at(body, path))


def _own_properties(node: Node) -> Iterator[tuple[str, ...]]:
    """The properties of the resource itself that a mapping reads, each as the names that lead to
    it."""
    match node:
        case Field(name, ()) if name:
            yield (name,)
        case ObjectField(owner, name):
            yield (owner, name)
        case Concat(parts):
            for part in parts:
                yield from _own_properties(part)
        case If(_, _, _, then, otherwise):
            yield from _own_properties(then)
            yield from _own_properties(otherwise)
        case ForEach(items, _):
            yield from _own_properties(items)


def _at(body: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        body = members(body).get(name)
    return body


def _plain(value: Json) -> Json:
    """What is known of a parameter's value: not the outputs of other stacks."""
    if isinstance(value, OutputOf):
        return None
    if isinstance(value, ListOf):
        return [
            element
            for element in value.elements
            if not isinstance(element, OutputOf)
        ]
    return value


def _named(job: Job, template: Template | None) -> frozenset[str]:
    """The parameters that take something with a secret name."""
    by_mapping: frozenset[str] = frozenset()
    if template:
        by_mapping = secret_parameters(template)
    return by_mapping | {
        param.name
        for param in job.params
        if any(is_secret(output.key) for output in param.outputs())
    }


def secret_parameters(template: Template) -> frozenset[str]:
    """The parameters whose mappings read a property or an output with a secret name."""
    return frozenset(
        name for name, mapping in template.mappings if _reads_secret(mapping)
    )


def _reads_secret(node: Node) -> bool:
    match node:
        case Field(name) | Output(name):
            return is_secret(name)
        case ObjectField(owner, name):
            return is_secret(owner) or is_secret(name)
        case Concat(parts):
            return any(map(_reads_secret, parts))
        case If(_, _, _, then, otherwise):
            return _reads_secret(then) or _reads_secret(otherwise)
        case ForEach(items, body):
            return _reads_secret(items) or _reads_secret(body)
        case _:
            return False


def _declared(
    template: Template | None, request: StackRequest | None
) -> Mapping[str, Json] | None:
    """The parameters that a template declares hidden, with their defaults; None when that cannot be
    told."""
    if request is not None:
        return declared_hidden(request.template)
    if template:
        return _declared_in_source(template.text)
    return None


@lru_cache(maxsize=256)
def _declared_in_source(text: str) -> Mapping[str, Json] | None:
    """The same of a template that is not rendered: as it stands, without Jinja2's tags."""
    return declared_hidden(_without_jinja(text))


def _without_jinja(text: str) -> str:
    """A template's text without tags and comments, and with an ``x`` for each expression."""
    pieces: list[str] = []
    place = 0
    while begin := _JINJA.search(text, place):
        pieces.append(text[place : begin.start()])
        end = text.find(_JINJA_END[begin[0]], begin.end())
        if (
            end < 0
            # It is no template that renders.
            # (To look for the other kinds would take quadratic time.)
        ):
            return "".join(pieces)
        if begin[0] == "{{":
            pieces.append("x")
        place = end + len("}}")
    return "".join([*pieces, text[place:]])


def declared_hidden(text: str) -> Mapping[str, Json] | None:
    """The parameters that a HOT document declares hidden, with their defaults; None when it cannot
    be read."""
    if not any(word in text for word in _SAYS_HIDDEN):
        return {}
    try:
        document = yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    parameters = members(members(document).get("parameters")) or members(
        members(document).get("Parameters")
    )
    found = {
        str(name): _default(about)
        for name, about in parameters.items()
        if _is_hidden(members(about))
    }
    if _is_small(found):
        return found
    return None


def _default(parameter: Json) -> Json:
    value = members(parameter).get("default")
    if value in ("", "null", "~"):
        return None
    return value


def _is_small(value: Json) -> bool:
    """Whether a value has few enough values in it, each counted as often as it is there."""
    seen, rest = 0, [value]
    while rest and seen <= _MOST_VALUES:
        item = rest.pop()
        seen += 1
        rest.extend(inside(item))
    return seen <= _MOST_VALUES


def _is_hidden(about: Mapping[str, Json]) -> bool:
    return any(
        isinstance(about.get(word), str) and about[word].lower() not in _NOT
        for word in _SAYS_HIDDEN
    )
