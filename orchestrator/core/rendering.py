"""From a template and parameters to what Heat is asked (CONTRACT section 6).

Templates are somebody else's programs: they run in Jinja2's sandbox, a name they use without having
it is an error, and what they render is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2 import Template as Compiled
from jinja2.exceptions import TemplateError as JinjaError
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
    """What Heat is asked to make of the stack."""

    name: StackName
    tenant: str
    template: str
    parameters: Mapping[str, Json]
    timeout_mins: int | None


@lru_cache(maxsize=256)
def _compiled(text: str) -> Compiled:
    # Jinja2's defaults for white space: what the recorded system's templates were written for.
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False).from_string(text)


def render(template_id: str, text: str, variables: Mapping[str, Json]) -> str:
    """The template's text with Jinja2 applied.

    :raises TemplateError: naming the template, the line and what is wrong, never a variable's value.
    """
    pieces: list[str] = []
    size = 0
    try:
        for piece in _compiled(text).generate(**variables):
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
    text = render(template.id, template.text, {k: v for k, v in final.items() if k.startswith(_JINJA)})
    parameters = {k: v for k, v in final.items() if not k.startswith(_JINJA)}
    return StackRequest(job.ref.stack_name, job.tenant, text, parameters, minutes)


def _timeout(template_id: str, value: Json) -> int | None:
    if value is None or value == "":
        return None
    try:
        minutes = int(value)
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
) -> tuple[dict[OutputOf, Json], list[OutputOf]]:
    """The values of the needed outputs, and those that no stack record has.

    :param stacks: ``str(ref)`` to the outputs of its stack by key.
    """
    found: dict[OutputOf, Json] = {}
    absent: list[OutputOf] = []
    for output in needed:
        record = stacks.get(str(output.ref), {})
        if output.key in record:
            found[output] = record[output.key]
        else:
            absent.append(output)
    return found, absent
