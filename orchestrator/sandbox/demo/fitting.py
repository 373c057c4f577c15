"""JSON that fits on a screen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

ELEMENTS, ENTRIES = 3, 4
"""Elements of a list, and entries of a nested object, that are shown."""

TELLING = {
    "version",
    "load_balancer",
    "connection_limit",
    "endpoint",
    "monitoring_link",
}
"""Those elements that are worth showing first, by the name they carry."""

CUTS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("description",), 24),
    (("description",), 12),
    ((), 40),
    ((), 30),
    ((), 18),
)
"""Which texts are cut (those of these names; all, where there is no name) to how many characters,
until the whole fits on a line."""


def compact(
    value: Any, width: int, indent: int = 0, used: int = 0, depth: int = 0
) -> str:
    """JSON for people: what fits stays on one line, long lists and long texts are cut.

    :param used: characters of the first line that are taken by the name before the value.
    """
    room = width - indent - used - 1
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) <= room:
        return flat
    if isinstance(value, str):
        return flat[: max(room - 2, 8)] + '…"'
    if not isinstance(value, dict | list) or not value:
        return flat
    if depth > 1 and (shorter := _on_one_line(value, room)):
        return shorter
    if isinstance(value, dict):
        return _object(value, width, indent, depth)
    return _list(value, width, indent, depth)


def _on_one_line(value: Any, room: int) -> str:
    """The whole with some of its texts cut; empty when that does not fit either."""
    for names, characters in CUTS:
        shorter = json.dumps(_cut(value, characters, names), ensure_ascii=False)
        if len(shorter) <= room:
            return shorter
    return ""


def _object(value: dict[str, Any], width: int, indent: int, depth: int) -> str:
    names = list(value)
    if depth > 1:
        names = names[:ENTRIES]
    parts = []
    for name in names:
        inner = compact(
            value[name], width, indent + 2, len(name) + 4, depth + 1
        )
        parts.append(f"{json.dumps(name)}: {inner}")
    return _in_brackets("{}", parts, len(value), indent)


def _list(value: list[Any], width: int, indent: int, depth: int) -> str:
    elements = (list(filter(_tells, value)) or value)[:ELEMENTS]
    parts = [
        compact(element, width, indent + 2, 0, depth + 1)
        for element in elements
    ]
    return _in_brackets("[]", parts, len(value), indent)


def _tells(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    return bool(TELLING & {entry.get("param"), entry.get("output_key")})


def _in_brackets(
    brackets: str, parts: list[str], total: int, indent: int
) -> str:
    left_out = total - len(parts)
    if left_out:
        parts = [*parts, f"… {left_out} more"]
    inner = " " * (indent + 2)
    lines = ",\n".join(inner + part for part in parts)
    return f"{brackets[0]}\n{lines}\n{' ' * indent}{brackets[1]}"


def _cut(value: Any, characters: int, names: Sequence[str]) -> Any:
    """The same with no text longer than so many characters; with *names*, only the texts that have
    one of them."""
    if isinstance(value, str):
        if names or len(value) <= characters:
            return value
        return value[: characters - 1] + "…"
    if isinstance(value, list):
        return [_cut(entry, characters, names) for entry in value]
    if isinstance(value, dict):
        return {
            name: _cut(entry, characters, _still(name, names))
            for name, entry in value.items()
        }
    return value


def _still(name: str, names: Sequence[str]) -> Sequence[str]:
    """The names that count below an entry: below one of them, every text is cut."""
    if name in names:
        return ()
    return names
