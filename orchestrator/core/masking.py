"""No secret leaves by accident: not in a log line, a message, an error text or on a screen.

A value is secret when its key's name contains one of :data:`SECRET_WORDS`, at any depth. Records that keep
name and value apart count as well: ``{"output_key": "admin_password", "output_value": …}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .refs import Json

SECRET_WORDS = ("password", "secret", "token", "credential", "key")
MASK = "***"
_SHORTEST = 4
"""Shorter values are not searched for in texts: masking every "1" would hide the message itself."""

_NOT_SECRET = frozenset({"output_key", "ssh_key_name", "key_name"})
"""Names that contain a secret word and hold none: the mapping language's and Nova's name of a key pair."""

_PAIRS = (("output_key", "output_value"), ("param", "value"))
"""Where a name and its value stand apart: Heat's stack outputs, and the parameters of a job record."""


def is_secret(name: str) -> bool:
    """Whether a value of this name must not be shown."""
    lowered = name.lower()
    return lowered not in _NOT_SECRET and any(word in lowered for word in SECRET_WORDS)


def masked(value: Json) -> Json:
    """A copy in which secrets are replaced, at any depth."""
    if isinstance(value, dict):
        apart = _named_apart(value)
        return {k: MASK if (is_secret(str(k)) or k == apart) and v not in (None, "") else masked(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value


def _named_apart(value: Mapping[str, Json]) -> str | None:
    """The key under which a record holds a secret whose name stands under another key."""
    return next((holder for name, holder in _PAIRS if holder in value and is_secret(str(value.get(name, "")))), None)


def secrets(value: Json) -> Iterator[str]:
    """Every secret text or number in a document."""
    if isinstance(value, dict):
        apart = _named_apart(value)
        for name, inner in value.items():
            yield from _texts(inner) if is_secret(str(name)) or name == apart else secrets(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from secrets(inner)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def without(text: str, hidden: Iterable[str]) -> str:
    """*text* with every one of the *hidden* texts masked: for reasons that others (Heat) worded.

    Longest first, so that a secret that contains another is hidden whole.
    """
    wanted = sorted({secret for secret in hidden if len(secret) >= _SHORTEST}, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, wanted)), MASK, text) if wanted else text
