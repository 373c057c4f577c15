"""What Heat says of one stack in detail. Pure: an HTTP answer in, a value or an error out.

Shapes, as openstack-heat 27 makes them:

======  ================================  =====================================================
GET     ``/stacks/NAME/ID/template``      200, the template as a document
GET     ``/stacks/NAME/ID``               200 ``{"stack": {"parameters": {name: text}, …}}``
GET     ``/stacks/NAME/ID/resources``     200 ``{"resources": [{"resource_name", …}]}``
======  ================================  =====================================================

With ``with_detail`` a resource has ``attributes``: what the service of it shows at this moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.refs import Json
from ...core.stacks import Stack
from .answer import Answer
from .meaning import no_answer, refusal


def template(answer: Answer, stack: Stack) -> Mapping[str, Json]:
    """The template that Heat has of the stack.

    :raises OrchestratorError: what else the answer means.
    """
    document = _document(answer, stack)
    if "heat_template_version" in document or "resources" in document:
        return document
    raise no_answer(answer)


def values(
    answer: Answer, stack: Stack, *, outputs: bool
) -> tuple[Mapping[str, str], Sequence[Json] | None]:
    """The stack's parameters, each as a text, and its outputs.

    :param outputs: whether they were asked for; None stands for them where they were not.
    :raises OrchestratorError: what else the answer means.
    """
    shown = _document(answer, stack).get("stack")
    if not isinstance(shown, dict) or shown.get("id") != stack.id:
        raise no_answer(answer)
    parameters = shown.get("parameters")
    listed = shown.get("outputs") or []
    if not isinstance(parameters, dict) or not isinstance(listed, list):
        raise no_answer(answer)
    given = {name: str(value) for name, value in parameters.items()}
    if outputs:
        return given, listed
    return given, None


def resources(answer: Answer, stack: Stack) -> Sequence[Mapping[str, Json]]:
    """The resources inside the stack.

    :raises OrchestratorError: what else the answer means.
    """
    listed = _document(answer, stack).get("resources")
    if not isinstance(listed, list):
        raise no_answer(answer)
    whole = [one for one in listed if isinstance(one, dict)]
    if len(whole) < len(listed):
        raise no_answer(answer)
    return whole


def _document(answer: Answer, stack: Stack) -> Mapping[str, Json]:
    document = answer.json() if answer.status == 200 else None
    if document is None:
        raise refusal(answer, stack.name, stack.id)
    if not isinstance(document, dict):
        raise no_answer(answer)
    return document
