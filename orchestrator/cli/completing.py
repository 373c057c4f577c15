"""Completion in a shell: types and ids as etcd has them.

A shell asks at each press of a key: so it is quick, and silent when etcd does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import typer

from ..core.keys import Keys
from ..errors import OrchestratorError
from .session import Session, session

_Find = Callable[[Session, str], Iterator[str]]

_PATIENCE = 1.0
"""Seconds after which nothing is offered."""
_MOST = 200
"""Names that are offered."""


def complete_type(incomplete: str) -> list[str]:
    """Types that begin so; after ``port:`` the ids of that type."""
    return list(_offered(_types, incomplete))


def complete_id(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of the type before that begin so."""
    kind = str(context.params.get("kind") or "")

    def ids(doors: Session, begin: str) -> Iterator[str]:
        yield from _ids(doors, kind, begin)

    return list(_offered(ids, incomplete))


def _offered(find: _Find, incomplete: str) -> Iterator[str]:
    try:
        with session(_PATIENCE) as doors:
            for number, name in enumerate(find(doors, incomplete)):
                if number >= _MOST:
                    return
                yield name
    except OrchestratorError:
        return


def _types(doors: Session, begin: str) -> Iterator[str]:
    kind, colon, start = begin.partition(":")
    if colon:
        for name in _ids(doors, kind, start):
            yield f"{kind}:{name}"
        return
    for known in doors.keys.schemas:
        if known.id.startswith(begin):
            yield known.id


def _ids(doors: Session, kind: str, begin: str) -> Iterator[str]:
    """The ids of one type, from its folder in etcd alone."""
    keys: Keys = doors.keys
    known = keys.schemas.get(kind)
    if known is None:
        return
    folder = f"{keys.config}{known.path}/"
    if known.key_template is None:
        folder += begin
    _, listed = doors.store.list(folder, keys_only=True)
    for kv in listed:
        ref = keys.ref(keys.config, kv.key)
        if ref and ref.type == kind and ref.id.startswith(begin):
            yield ref.id
