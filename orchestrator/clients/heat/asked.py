"""Paths and bodies of requests to Heat."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ...core.rendering import StackRequest


def identity(name: str, stack_id: str) -> str:
    """A stack as the paths of Heat's API name it."""
    return f"{quote(name, safe='')}/{quote(stack_id, safe='')}"


def fields(request: StackRequest, tag: str) -> dict[str, Any]:
    """What Heat is asked for, as the body of a create or an update says it."""
    asked: dict[str, Any] = {
        "template": request.template,
        "parameters": dict(request.parameters),
        "disable_rollback": True,
        "tags": tag,
    }
    if request.timeout_mins is not None:
        asked["timeout_mins"] = request.timeout_mins
    return asked
