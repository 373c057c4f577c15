"""JSON values as they stand inside texts."""

from __future__ import annotations

import json

from ..refs import Json


def text_of(value: Json) -> str:
    """A null is ``""``. Numbers, booleans, lists and objects are as JSON writes them."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
