"""What Heat says that it would do with a request. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from heatclient.v1.stacks import StackManager

from ...core.refs import Json
from ...core.rendering import StackRequest
from ...core.stacks import Stack
from . import answers
from .answer import Answer
from .asked import fields, identity


class HeatCall(Protocol):
    """One request to Heat, and what its answer says."""

    def __call__(
        self,
        tenant: str,
        ask: Callable[[StackManager], object],
        judge: Callable[[Answer], dict[str, Json]],
    ) -> dict[str, Json]: ...


def preview(
    call: HeatCall, request: StackRequest, stack: Stack | None
) -> dict[str, Json]:
    """By ``added``, ``updated``, ``replaced`` …, the resources inside the stack.

    :param stack: the stack that would be updated; None: a new one.
    """
    asked = {"stack_name": request.name, **fields(request, "")}
    del asked["tags"]
    if stack is None:
        return call(
            request.tenant,
            lambda stacks: stacks.client.post("/stacks/preview", data=asked),
            lambda answer: answers.previewed_new(answer, request.name),
        )
    place = f"/stacks/{identity(stack.name, stack.id)}/preview"
    del asked["stack_name"]
    return call(
        request.tenant,
        lambda stacks: stacks.client.put(place, data=asked),
        lambda answer: answers.previewed(answer, stack.name, stack.id),
    )
