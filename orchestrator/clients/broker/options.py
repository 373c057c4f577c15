"""Transport options: which may be set, and in which form."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...core.refs import Json
from .url import did_you_mean


def _number(value: Json) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return 0 <= value < 1e9


def _whole(value: Json) -> bool:
    return isinstance(value, int) and _number(value)


def _truth(value: Json) -> bool:
    return isinstance(value, bool)


def _text(value: Json) -> bool:
    return isinstance(value, str)


def _mapping(value: Json) -> bool:
    return isinstance(value, dict)


_KINDS: Mapping[Callable[[Json], bool], str] = {
    _number: "a number",
    _whole: "a whole number",
    _truth: "true or false",
    _text: "a text",
    _mapping: "an object",
}

OPTIONS: Mapping[str, Callable[[Json], bool]] = {
    "client_name": _text,
    "fanout_patterns": _truth,
    "global_keyprefix": _text,
    "health_check_interval": _number,
    "interval_max": _number,
    "interval_start": _number,
    "interval_step": _number,
    "master_name": _text,
    "max_connections": _whole,
    "max_retries": _whole,
    "min_other_sentinels": _whole,
    "reauth_check_interval": _number,
    "retry_on_timeout": _truth,
    "sentinel_fanout_compat": _truth,
    "sentinel_kwargs": _mapping,
    "socket_connect_timeout": _number,
    "socket_keepalive": _truth,
    "socket_keepalive_options": _mapping,
    "socket_timeout": _number,
    "unacked_mutex_expire": _number,
    "unacked_restore_interval": _number,
    "unacked_restore_limit": _whole,
    "unacked_restore_throttle": _whole,
    "visibility_timeout": _number,
}
"""Transport options that may be set, and their form. Those that would change the format of what
lies in Redis (``sep``, ``priority_steps``, the names of keys) are not among them."""


def parse_options(document: Json) -> dict[str, Json]:
    """Transport options as kombu takes them.

    :raises ValueError: an option is not known, or has the wrong form.
    """
    if not isinstance(document, dict):
        raise ValueError('expected a JSON object, as in {"socket_timeout": 5}')  # noqa: TRY004
    for name, value in document.items():
        fits = OPTIONS.get(name)
        if fits is None:
            raise ValueError(
                f"unknown option {name!r}{did_you_mean(name, OPTIONS)}"
            )
        if not fits(value):
            raise ValueError(f"{name} is {_KINDS[fits]}")
    found = dict(document)
    if keepalive := found.get("socket_keepalive_options"):
        # The numbers of the operating system's options: keys of a JSON object are texts.
        found["socket_keepalive_options"] = {
            int(name): value for name, value in keepalive.items()
        }
    return found
