"""From a template and parameters to what Heat is asked (CONTRACT section 6).

Templates are somebody else's programs: they run in Jinja2's sandbox, a name they use without having
it is an error, and what they render is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import TemplateError
from .jobs import Job
from .mapping.evaluate import ListOf, OutputOf
from .refs import Json, StackName
from .templates import Template

SIZE_LIMIT = 512 * 1024
"""Characters of rendered template; Heat's own default limit (max_template_size)."""

LONGEST_TIMEOUT = 24 * 60
"""Minutes. Heat itself takes more, an operator waiting for it does not."""

_JINJA = "jinja_"
_TIMEOUT = "heat_timeout"


@dataclass(frozen=True, slots=True)
class StackRequest:
    """What Heat is asked to make of the stack. *variables* are the values that the template was rendered with."""

    name: StackName
    tenant: str
    template: str
    parameters: Mapping[str, Json]
    timeout_mins: int | None
    variables: Mapping[str, Json] = field(default_factory=dict, compare=False, repr=False)


LOOP_LIMIT = 100_000
"""Turns of all loops of one rendering together."""
WIDTH_LIMIT = 100_000
"""Largest number a template may pass on to a function or filter, and largest factor of a repetition."""

_GROWTH_LIMIT = 64 * 1024 * 1024
"""Characters that one call may make at the most."""
_SIZED_FILTERS = ("center", "indent", "batch", "slice", "wordwrap", "format", "tojson", "join", "replace")
_WIDE_FORMAT = re.compile(r"[%:][^%{}a-zA-Z]*\d{6,}")
_TURNS = "_turns_left"


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, with its time and memory bounded too: a template is somebody else's program.

    Every loop counts its turns; numbers that could make a text of gigabytes (``"x" * n``,
    ``center(n)``) are bounded.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        # Jinja2's defaults for white space: what the recorded system's templates were written for.
        super().__init__(undefined=StrictUndefined, autoescape=False)
        self.filters["turns"] = _turns
        self.filters |= {name: _bounded(self.filters[name]) for name in _SIZED_FILTERS}
        del self.globals["lipsum"]

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "turns", [], [], None, None, lineno=loop.lineno)
        return tree

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        # A method's text counts as an argument; str.format comes wrapped by the sandbox.
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        _check_arguments((owner, *args) if isinstance(owner, str) else args, kwargs)
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            _check_arguments((left, *right) if isinstance(right, tuple) else (left, right), {})
            return super().call_binop(context, operator, left, right)
        if any(isinstance(side, (int, float)) and abs(side) > WIDTH_LIMIT for side in (left, right)):
            raise SecurityError(f"a number over {WIDTH_LIMIT} in a {operator!r}")
        if operator == "**" and isinstance(right, (int, float)) and abs(right) > 64:
            raise SecurityError("an exponent over 64")
        if operator == "*" and not all(isinstance(side, (int, float)) for side in (left, right)):
            size = max(len(side) for side in (left, right) if hasattr(side, "__len__")) * max(
                side for side in (left, right, 1) if isinstance(side, int)
            )
            if size > SIZE_LIMIT:
                raise SecurityError("a repetition larger than any template")
        return super().call_binop(context, operator, left, right)


@pass_context
def _turns(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    left: list[int] = context.parent[_TURNS]
    for item in items:
        left[0] -= 1
        if left[0] < 0:
            raise SecurityError(f"loops turn more than {LOOP_LIMIT} times")
        yield item


def _bounded(function: Any) -> Any:
    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _check_arguments(args, kwargs)
        return function(*args, **kwargs)

    return bounded


def _check_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What makes texts grow: large numbers, wide formats, and long texts put between or in place of many."""
    values = (*args, *kwargs.values())
    if any(isinstance(value, int) and abs(value) > WIDTH_LIMIT for value in values):
        raise SecurityError(f"a number over {WIDTH_LIMIT} is passed to a function")
    texts = [value for value in values if isinstance(value, str)]
    if any(_WIDE_FORMAT.search(text) for text in texts):
        raise SecurityError("a format with a width of six digits or more")
    longest = max(map(len, texts), default=0)
    others = [len(value) for value in values if isinstance(value, (str, list, tuple, dict))]
    if sum(others) and longest * (sum(others) - longest) > _GROWTH_LIMIT:
        raise SecurityError("texts too long to be combined")


@lru_cache(maxsize=256)
def _compiled(text: str) -> Compiled:
    return _SANDBOX.from_string(text)


_SANDBOX = Sandbox()


def render(template_id: str, text: str, variables: Mapping[str, Json]) -> str:
    """The template's text with Jinja2 applied.

    :raises TemplateError: naming the template, the line and what is wrong, never a variable's value.
    """
    pieces: list[str] = []
    size = 0
    try:
        for piece in _compiled(text).generate({**variables, _TURNS: [LOOP_LIMIT]}):
            size += len(piece)
            if size > SIZE_LIMIT:
                raise TemplateError(f"template {template_id} renders more than {SIZE_LIMIT} characters")
            pieces.append(piece)
    except TemplateSyntaxError as error:
        raise TemplateError(f"template {template_id}, line {error.lineno}: {error.message}") from error
    except JinjaError as error:
        raise TemplateError(f"template {template_id}: {error.message or type(error).__name__}") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        # The template's own expressions raise these; their text may quote values, so only the kind is told.
        raise TemplateError(f"template {template_id}: an expression raised {type(error).__name__}") from error
    return "".join(pieces)


def values(job: Job, outputs: Mapping[OutputOf, Json]) -> dict[str, Json]:
    """Every parameter of the job with its final value.

    :param outputs: the value of each output that the job needs.
    """

    def final(value: Json) -> Json:
        match value:
            case OutputOf():
                return outputs[value]
            case ListOf(elements):
                return [final(element) for element in elements]
            case _:
                return value

    return {param.name: final(param.value) for param in job.params}


def request(job: Job, template: Template, outputs: Mapping[OutputOf, Json]) -> StackRequest:
    """What Heat is asked for *job*: ``jinja_*`` feed the template, the rest are the stack's parameters.

    :raises TemplateError: the template does not render, or ``heat_timeout`` is not minutes.
    """
    final = values(job, outputs)
    minutes = _timeout(template.id, final.pop(_TIMEOUT, None))
    variables = {k: v for k, v in final.items() if k.startswith(_JINJA)}
    text = render(template.id, template.text, variables)
    parameters = {k: v for k, v in final.items() if not k.startswith(_JINJA)}
    return StackRequest(job.ref.stack_name, job.tenant, text, parameters, minutes, variables)


def _timeout(template_id: str, value: Json) -> int | None:
    if value is None or value == "":
        return None
    try:
        minutes = 0 if isinstance(value, float) and not value.is_integer() else int(value)
    except (TypeError, ValueError):
        minutes = 0
    if isinstance(value, bool) or not 1 <= minutes <= LONGEST_TIMEOUT:
        raise TemplateError(f"template {template_id}: heat_timeout should be whole minutes from 1 to {LONGEST_TIMEOUT}")
    return minutes


def needed_outputs(job: Job) -> frozenset[OutputOf]:
    """The outputs of other stacks without which the request cannot be made."""
    return frozenset(output for param in job.params for output in param.outputs())


def pick_outputs(
    needed: Iterable[OutputOf], stacks: Mapping[str, Mapping[str, Json]]
) -> tuple[dict[OutputOf, Json], dict[OutputOf, str]]:
    """The values of the needed outputs; and those that cannot be had, each with the reason.

    :param stacks: ``str(ref)`` to the outputs of its stack by key, each as Heat gave it.
    """
    found: dict[OutputOf, Json] = {}
    absent: dict[OutputOf, str] = {}
    for output in needed:
        given = stacks.get(str(output.ref), {}).get(output.key)
        if given is None:
            absent[output] = f"which has none; build {output.ref} first"
        elif error := output_error(given):
            absent[output] = f"which Heat could not compute: {error}"
        else:
            found[output] = given.get("output_value")
    return found, absent


def output_error(output: Json) -> str:
    """Why Heat could not compute an output; empty when it could. Such an output is shown with the value null."""
    return str(output.get("output_error") or "") if isinstance(output, Mapping) else ""
