"""From a template and parameters to what Heat is asked (CONTRACT section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..errors import InvalidInput, TemplateError
from . import policies
from .documents import digest_of
from .jobs import Job, Param
from .mapping.evaluate import ListOf, OutputOf
from .records import Built
from .refs import Json, StackName
from .templates import Template

_JINJA = "jinja_"


@dataclass(frozen=True, slots=True)
class StackRequest:
    """What Heat is asked to make of the stack.
    *variables* are the values that the template was rendered with."""

    name: StackName
    tenant: str
    template: str
    parameters: Mapping[str, Json]
    timeout_mins: int | None
    variables: Mapping[str, Json] = field(
        default_factory=dict, compare=False, repr=False
    )


Render: TypeAlias = Callable[[str, str, Mapping[str, Json], str], str]
"""Renders a template: of its id, its text, the variables, and the tenant that it is rendered for.
Raises :class:`TemplateError` when it does not render.
:mod:`.jinja` does the work; who calls says in which process."""


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


def request(
    job: Job,
    template: Template,
    outputs: Mapping[OutputOf, Json],
    render: Render,
) -> StackRequest:
    """What Heat is asked for *job*: ``jinja_*`` feed the template, reserved names are policies, and
    the rest are the stack's parameters.

    :param render: renders the template. Where templates are anybody's, in a process with limits.
    :raises TemplateError: the template does not render, or a reserved mapping has a value that
        cannot be used.
    """
    final = values(job, outputs)
    try:
        minutes = policies.read(final).timeout_mins
    except InvalidInput as error:
        raise TemplateError(f"template {template.id}: {error}") from error
    for name in policies.RESERVED:
        final.pop(name, None)
    variables = {
        name: value for name, value in final.items() if name.startswith(_JINJA)
    }
    text = render(template.id, template.text, variables, job.tenant)
    parameters = {k: v for k, v in final.items() if not k.startswith(_JINJA)}
    return StackRequest(
        job.stack_name, job.tenant, text, parameters, minutes, variables
    )


def policies_of(params: Iterable[Param]) -> policies.Policies:
    """What the reserved mappings say whose values are among the parameters of a job.

    A value that cannot be used counts as the default: a job with one is never put to Heat.
    """
    return policies.lenient(
        {
            param.name: param.value
            for param in params
            if param.name in policies.RESERVED
        }
    )


def built_from(
    job: Job,
    template: Template,
    outputs: Mapping[OutputOf, Json],
    request: StackRequest,
    now: float = 0.0,
) -> Built:
    """What a request is made of, as digests.

    :param outputs: the value of each output that the job needed.
    :param now: seconds since the epoch.
    """
    asked = (request.parameters, request.variables, request.timeout_mins)
    in_order = sorted(outputs, key=lambda output: (output.ref, output.key))
    return Built(
        job.id,
        template.id,
        template.revision,
        digest_of(asked),
        {output: digest_of(outputs[output]) for output in in_order},
        policies_of(job.params).follow,
        now,
    )


def needed_outputs(job: Job) -> frozenset[OutputOf]:
    """The outputs of other stacks without which the request cannot be made."""
    return frozenset(
        output for param in job.params for output in param.outputs()
    )


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


def needs_output(output: OutputOf, why: str) -> str:
    """Why a job cannot be put to Heat.

    :param why: the output cannot be had, as :func:`pick_outputs` gives it.
    """
    return f"needs output {output.key!r} of the stack of {output.ref}, {why}"


def output_error(output: Json) -> str:
    """Why Heat could not compute an output; empty when it could.
    Such an output is shown with the value null."""
    if isinstance(output, Mapping):
        return str(output.get("output_error") or "")
    return ""
