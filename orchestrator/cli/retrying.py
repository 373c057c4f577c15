"""Ask the bridge to try failed versions once more. The bridge sees the request below its own prefix, and removes it."""

from __future__ import annotations

from ..clients.store import Store
from ..core.keys import Keys
from ..core.records import RetryAsked
from ..core.refs import Ref
from ..errors import InvalidInput
from .progress import Phase, Progress
from .snapshot import Snapshot


def choose(found: Snapshot, *, kind: str | None, ref: Ref | None, root: Ref | None, everything: bool) -> list[Ref]:
    """The failed resources that are meant: one, those of a type, those with a root cause, or all.

    One that is named may also be of a version that went backwards: it is then built as it is.

    :raises InvalidInput: nothing is named, or the one that is named has not failed.
    """
    if ref is not None:
        if ref not in found.failed and Progress(found).of(ref).phase is not Phase.STALE:
            raise InvalidInput(f"{ref} has not failed: see `orchestrator get {ref.type} {ref.id}`")
        return [ref]
    if root is None and kind is None and not everything:
        raise InvalidInput("nothing to retry: name TYPE ID, a TYPE, a cause with --root TYPE:ID, or --all")
    chosen = found.failed.items()
    return sorted(r for r, failed in chosen if (kind is None or r.type == kind) and (root is None or failed.root == root))


def ask(store: Store, keys: Keys, refs: list[Ref], *, force: bool = False) -> None:
    """Leave the requests; asking twice is asking once.

    :param force: the stack in Heat is to be taken as it is, whoever built it.
    """
    for ref in refs:
        store.put(keys.below(keys.retries, ref), RetryAsked(force).to_json())
