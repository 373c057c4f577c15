"""What Heat was asked last for a resource, and what it would be asked: parameters and template."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ...errors import MappingError, TemplateError
from .. import rendering
from ..documents import canonical
from ..jobs import Action, Job, Param, job_id
from ..mapping.evaluate import ListOf, Missing, OutputOf, evaluate
from ..refs import Json, Ref
from ..rendering import Render, StackRequest
from ..resources import Wanted
from ..templates import Template
from ..world import World

KNOWN_AFTER = "known after {}"
EARLIER = "another value of {}"
_JINJA = "jinja_"
_CONTEXT = 2
"""Lines around a difference."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of stacks, as far as they are known.

    :param recorded: the outputs of a stack by key, as the stack record has them.
    :param unknown: resources whose stacks are yet to be built.
    :param earlier: outputs that had another value, which nobody knows any more.
    """

    recorded: Callable[[Ref], Mapping[str, Json]]
    unknown: frozenset[Ref] = frozenset()
    earlier: frozenset[OutputOf] = frozenset()

    def known(self, output: OutputOf) -> bool:
        if output.ref in self.unknown or output in self.earlier:
            return False
        given = self.recorded(output.ref).get(output.key)
        return given is not None and not rendering.output_error(given)

    def __call__(self, value: Json) -> Json:
        """A parameter's value, with each output that is not there yet told in words."""
        match value:
            case OutputOf():
                if value in self.earlier:
                    return EARLIER.format(value)
                if not self.known(value):
                    return KNOWN_AFTER.format(value.ref)
                return self.recorded(value.ref)[value.key].get("output_value")
            case ListOf(elements):
                return [self(element) for element in elements]
            case _:
                return value


@dataclass(frozen=True, slots=True)
class ForecastRequest:
    """What Heat is asked for one job: *parameters* as :class:`Outputs` tells them."""

    job: Job
    template: Template | None
    parameters: Mapping[str, Json]
    missing: tuple[OutputOf, ...] = ()
    """Outputs that are not known yet."""
    request: StackRequest | None = None
    """The request itself, where all is known that the template needs."""
    problem: str = ""
    """Why the template does not render."""
    blind: bool = False
    """Whether the template needs an output to be rendered that is not known."""

    @property
    def resolved(self) -> Job:
        """The job with the outputs in their places, as far as they are known."""
        params = (
            replace(param, value=self.parameters[param.name])
            for param in self.job.params
        )
        return replace(self.job, params=tuple(params))

    @property
    def text(self) -> str | None:
        """The rendered template, None when it cannot be said."""
        return self.request.template if self.request else None


def asked(
    job: Job, template: Template | None, outputs: Outputs, render: Render
) -> ForecastRequest:
    """What Heat is asked for a job."""
    parameters = {param.name: outputs(param.value) for param in job.params}
    needed = dict.fromkeys(
        output for param in job.params for output in param.outputs()
    )
    missing = tuple(o for o in needed if not outputs.known(o))
    found = ForecastRequest(job, template, parameters, missing)
    if template is None or job.action is Action.DELETE:
        return found
    if any(_feeds_template(job, output) for output in missing):
        return replace(found, blind=True)
    # What only feeds the stack's parameters does not change the rendered text.
    known = {output: outputs(output) for output in needed}
    try:
        request = rendering.request(job, template, known, render)
    except TemplateError as error:
        return replace(found, problem=str(error))
    return replace(found, request=request)


def _feeds_template(job: Job, output: OutputOf) -> bool:
    return any(
        param.name.startswith(_JINJA) and output in param.outputs()
        for param in job.params
    )


def job_of(
    world: World, wanted: Wanted, template: Template | None
) -> Job | None:
    """A job that would build a version of a resource; None when its mappings cannot be evaluated.

    :param world: in which the mappings are evaluated.
    """
    kind = world.schemas.get(wanted.ref.type)
    if kind is None or template is None:
        return None
    scope = world.scope(wanted, kind)
    try:
        params = tuple(
            Param.of(name, evaluate(node, scope))
            for name, node in template.mappings
        )
    except (Missing, MappingError):
        return None
    return Job(
        id=job_id(Action.MODIFY, wanted.ref, wanted.version, "xxxxx"),
        ref=wanted.ref,
        action=Action.MODIFY,
        version=wanted.version,
        params=params,
        dependency=(),
        body=wanted.body,
    )


def changed_parameters(
    before: Mapping[str, Json], after: Mapping[str, Json]
) -> dict[str, tuple[Json, Json]]:
    """The parameters that differ, by name; null stands for one that is not there."""
    names = dict.fromkeys((*before, *after))
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {
        name: (old, new)
        for name, (old, new) in pairs.items()
        if canonical(old) != canonical(new)
    }


def unified(before: str, after: str) -> str:
    """The difference of two rendered templates; empty when there is none."""
    lines = difflib.unified_diff(
        before.splitlines(),
        after.splitlines(),
        "before",
        "after",
        lineterm="",
        n=_CONTEXT,
    )
    return "\n".join(lines)
