"""Ask the bridge to try failed versions once more. The bridge sees the request below its own prefix, and removes it."""

from __future__ import annotations

from dataclasses import dataclass

from ..clients.store import Store
from ..core.keys import Keys
from ..core.records import RetryAsked
from ..core.refs import Ref
from ..errors import InvalidInput
from . import documents, snapshot
from .progress import Phase, Progress
from .snapshot import Snapshot
from .writing import Result, Written


@dataclass(frozen=True, slots=True)
class Meant:
    """What a command line means: one resource, those of a type, those with a root cause, or all."""

    kind: str | None = None
    ref: Ref | None = None
    root: Ref | None = None
    everything: bool = False


def meant(keys: Keys, kind: str | None, resource_id: str | None, *, root: str | None, everything: bool) -> Meant:
    """The words of a command line, understood.

    :raises InvalidInput: a type, an id or a cause cannot be one.
    """
    if root and ":" not in root:
        raise InvalidInput(f"--root {root}: expected TYPE:ID, such as --root network:net-front")
    return Meant(
        kind=documents.check_type(keys, kind) if kind else None,
        ref=documents.resource(keys, kind, resource_id) if kind and resource_id else None,
        root=documents.resource(keys, *root.split(":", 1)) if root else None,
        everything=everything,
    )


def choose(found: Snapshot, meant: Meant) -> list[Ref]:
    """The failed resources that are meant.

    One that is named may also be of a version that went backwards: it is then built as it is.

    :raises InvalidInput: nothing is named, or the one that is named has not failed.
    """
    ref, root, kind = meant.ref, meant.root, meant.kind
    if ref is not None:
        if ref not in found.failed and Progress(found).of(ref).phase is not Phase.STALE:
            raise InvalidInput(f"{ref} has not failed: see `orchestrator get {ref.type} {ref.id}`")
        return [ref]
    if root is None and kind is None and not meant.everything:
        raise InvalidInput("nothing to retry: name TYPE ID, a TYPE, a cause with --root TYPE:ID, or --all")
    return sorted(
        ref for ref, failed in found.failed.items() if (kind is None or ref.type == kind) and (root is None or failed.root == root)
    )


def ask(store: Store, keys: Keys, meant: Meant, *, force: bool = False) -> list[Written]:
    """Leave the requests; asking twice is asking once.

    :param force: the stack in Heat is to be taken as it is, whoever built it.
    :raises InvalidInput: nothing is named, or the one that is named has not failed.
    """
    found = snapshot.load(store, keys)
    written: list[Written] = []
    for ref in choose(found, meant):
        key = keys.below(keys.retries, ref)
        store.put(key, RetryAsked(force).to_json())
        written.append(Written(ref, key, Result.RETRIED, _version_of(found, ref)))
    return written


def _version_of(found: Snapshot, ref: Ref) -> int:
    wanted, failed = found.wanted.get(ref), found.failed.get(ref)
    if wanted:
        return wanted.version
    return failed.version if failed else 0
