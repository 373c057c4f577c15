"""A worked case, through the very code that bridge and workers run.

A case becomes a world of its own; :func:`orchestrator.core.planning.decide` makes the job of it and
:func:`orchestrator.core.rendering.request` what Heat would be asked, which is compared with what is
expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..clients import renderer
from ..core import rendering
from ..core.checks import template_text
from ..core.checks.findings import Finding, Findings
from ..core.jobs import Job
from ..core.planning import Hold, Refuse, Report, Start, decide
from ..core.refs import Json, Ref
from ..core.resources import Wanted
from ..core.schemas import Schemas
from ..core.source import JsonPath
from ..core.templates import Template
from ..core.world import World
from ..errors import InvalidInput
from .entries import Case


@dataclass(frozen=True, slots=True)
class Made:
    """What a case comes to: the job, and what Heat would be asked.
    *lines* lead back to the template's text."""

    job: Job
    template: Template
    request: rendering.StackRequest
    lines: template_text.LineMap = template_text.NO_LINES


def make(
    name: str, case: Case, schemas: Schemas, templates: Mapping[str, Template]
) -> Made | None:
    """What Heat would be asked; None when there is nothing to build.

    :param name: of the type.
    :raises InvalidInput: the case cannot be built, with the reason that a state would have.
    """
    document = case.document
    ref = Ref(name, document["resource"]["id"])
    wanted = {
        ref: Wanted(ref, document.get("version", 1), document["resource"])
    }
    for place, other in enumerate(document.get("related") or ()):
        try:
            known = Ref(other["type"], other["id"])
            wanted[known] = Wanted(known, 1, {"id": known.id, **other["body"]})
        except (KeyError, TypeError):
            raise InvalidInput(
                f"related[{place}]: expected {{type, id, body}}"
            ) from None
    world = World(schemas, wanted=wanted, templates=dict(templates))
    match decide(world, ref, lambda: "00000"):
        case Report():
            return None
        case Start(job, handled):
            return _made(
                job, templates[handled.template], document.get("outputs") or {}
            )
        case Hold(held):
            raise InvalidInput(
                f"it would be held back: {held.reason}; add it to the case's related"
            )
        case Refuse(failed=failed):
            raise InvalidInput(failed.error)
        case other_decision:
            raise InvalidInput(f"nothing comes of it: {other_decision}")


def _made(job: Job, template: Template, given: Json) -> Made:
    outputs = _outputs(job, given)
    request = rendering.request(job, template, outputs, _render)
    return Made(job, template, request, _lines(job, template, outputs, request))


def _lines(
    job: Job,
    template: Template,
    outputs: Mapping[Any, Json],
    plain: rendering.StackRequest,
) -> template_text.LineMap:
    """Rendered once more with marks, to know which line made which."""
    text = template_text.marked(template.text)
    if text is None:
        return template_text.NO_LINES
    try:
        with_marks = rendering.request(
            job, replace(template, text=text), outputs, _render
        ).template
    except InvalidInput:
        # The marks made it too large, or it looks at its own text.
        return template_text.NO_LINES
    return template_text.line_map(plain.template, with_marks)


def _render(
    template_id: str, text: str, variables: Mapping[str, Json], tenant: str
) -> str:
    """As a worker renders, with the same limits; but a template that reaches one postpones no other
    case."""
    return renderer.shared().render(
        template_id, text, variables, f"{tenant} {template_id} {hash(text)}"
    )


def _outputs(job: Job, given: Json) -> dict[Any, Json]:
    if not isinstance(given, dict):
        raise InvalidInput("outputs: expected {type: {id: {key: value}}}")
    stacks = {
        str(Ref(kind, name)): {
            key: {"output_key": key, "output_value": value}
            for key, value in outputs.items()
        }
        for kind, by_id in given.items()
        for name, outputs in (by_id or {}).items()
    }
    found, absent = rendering.pick_outputs(
        rendering.needed_outputs(job), stacks
    )
    if absent:
        missing = ", ".join(
            sorted(
                f"outputs.{output.ref.type}.{output.ref.id}.{output.key}"
                for output in absent
            )
        )
        raise InvalidInput(
            f"{missing}: it is read, and the case does not give it"
        )
    return found


# What is expected ---------------------------------------------------------------------------------


def unexpected(made: Made | None, case: Case, name: str) -> Findings:
    """Where what comes of a case is not what it expects, but for the HOT.
    Paths begin with ``expect``."""
    expect = case.document["expect"]
    wanted = expect.get("template", name)
    if made is None:
        if wanted is not None:
            yield Finding(
                ("expect", "template"),
                f"{wanted!r} was expected, but there is nothing to build",
            )
        return
    if wanted != made.template.id:
        yield Finding(
            ("expect", "template"),
            f"{wanted!r} was expected, and {made.template.id!r} was chosen",
        )
    minutes = made.request.timeout_mins
    if "timeout_mins" in expect and not _equal(expect["timeout_mins"], minutes):
        yield Finding(
            ("expect", "timeout_mins"),
            f"{expect['timeout_mins']} was expected, not {minutes}",
        )
    if "parameters" in expect:
        yield from differences(
            expect["parameters"],
            dict(made.request.parameters),
            ("expect", "parameters"),
            whole=True,
        )
    if "references" in expect:
        taken = [
            list(ref) for param in made.job.params for ref in param.references
        ]
        if expect["references"] != taken:
            yield Finding(
                ("expect", "references"),
                f"{_short(expect['references'])} was expected, not {_short(taken)}",
            )


def unexpected_hot(hot: Json, case: Case) -> Findings:
    """Where the rendered template is not what the case expects."""
    expect = case.document["expect"]
    if "outputs" in expect:
        yield from _unexpected_outputs(expect["outputs"], hot)
    yield from differences(
        expect.get("hot") or {}, hot, ("expect", "hot"), whole=False
    )
    for place, path in enumerate(expect.get("absent") or ()):
        if _is_there(hot, path):
            yield Finding(
                ("expect", "absent", place), f"{_path(path)} is there"
            )


def _unexpected_outputs(expected: Json, hot: Json) -> Findings:
    """Outputs are what other templates read: all of them are named."""
    given = sorted((hot.get("outputs") or {}) if isinstance(hot, dict) else {})
    if not isinstance(expected, list) or sorted(map(str, expected)) != given:
        yield Finding(
            ("expect", "outputs"),
            f"{_short(expected)} was expected, not {_short(given)}",
        )


def differences(
    expected: Json, actual: Json, path: JsonPath, *, whole: bool
) -> Findings:
    """Where *actual* is not what was expected.

    :param whole: whether an object may have nothing else; if not, what is given must be there and
        equal.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, value in expected.items():
            if name not in actual:
                yield Finding(
                    (*path, name), f"it is not there; expected {_short(value)}"
                )
            else:
                yield from differences(
                    value, actual[name], (*path, name), whole=whole
                )
        for name in actual if whole else ():
            if name not in expected:
                yield Finding(
                    (*path, name),
                    f"{_short(actual[name])} is there and was not expected",
                )
    elif not _equal(expected, actual):
        yield Finding(
            path, f"{_short(expected)} was expected, not {_short(actual)}"
        )


def _equal(expected: Json, actual: Json) -> bool:
    """JSON equality: ``1`` and ``true`` differ."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            _equal(value, actual[name]) for name, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(
            map(_equal, expected, actual)
        )
    return bool(expected == actual) and isinstance(
        expected, bool
    ) == isinstance(actual, bool)


def _is_there(document: Json, path: Json) -> bool:
    for step in path if isinstance(path, list) else [path]:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _path(path: Json) -> str:
    return ".".join(map(str, path if isinstance(path, list) else [path]))


def _short(value: Json) -> str:
    text = repr(value)
    if len(text) <= 120:
        return text
    return f"{text[:117]}…"
