"""Ask the bridge to try failed versions once more.
The bridge sees the request below its own prefix, and removes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..clients.store import Store
from ..core.keys import Keys
from ..core.records import RetryAsked
from ..core.refs import Ref
from ..errors import InvalidInput
from ..views.jobs import Stage, is_failing
from ..views.reading import read_all, read_some
from ..views.snapshot import Snapshot
from ..views.standings import Phase, Progress, Standing
from .output import hint
from .verbs import requesting
from .verbs.authors import AskedVerb
from .verbs.selecting import Selector
from .writing import WriteResult, Written


def choose(found: Snapshot, meant: Selector) -> list[Ref]:
    """The failed resources that are meant.

    One that is named may also be of a version that went backwards: it is then built as it is.

    :raises InvalidInput: nothing is named, or the one that is named has not failed.
    """
    ref, progress = meant.ref, Progress(found)
    if ref is None:
        return meant.of(found, _failed(found, progress), "retry")
    if _is_failing(progress, ref):
        return [ref]
    standing = progress.of(ref)
    if standing.moving and standing.phase in (Phase.RUNNING, Phase.TROUBLE):
        raise InvalidInput(f"{ref}: {_under_way(ref, standing)}")
    if ref not in found.failed and standing.phase is not Phase.STALE:
        raise InvalidInput(
            f"{ref} has not failed: see `orchestrator get {ref.type} {ref.id}`"
        )
    return [ref]


def _failed(found: Snapshot, progress: Progress) -> Iterator[Ref]:
    """The resources whose versions failed, or fail again and again."""
    for ref, failed in found.failed.items():
        if not failed.job or _is_failing(progress, ref):
            yield ref


def _is_failing(progress: Progress, ref: Ref) -> bool:
    """Whether Heat has failed the job on a resource, which waits for its next try.

    A retry by hand does not wait, and counts the tries anew.
    """
    return any(is_failing(view.run) for view in progress.jobs(ref))


def _under_way(ref: Ref, standing: Standing) -> str:
    """Why a retry would change nothing, and what would."""
    if standing.reason == Stage.IN_HEAT.value:
        return (
            "Heat works on its stack. A retry changes nothing: the version is reported"
            " when Heat ends, or once the stack's timeout is over. A deletion does not"
            f" wait for it: orchestrator delete {ref.type} {ref.id}"
        )
    return f"a job on it is under way and is tried again by itself ({standing.reason})"


def in_progress(found: Snapshot, refs: list[Ref]) -> dict[Ref, str]:
    """Of the resources, those whose stacks Heat had in progress when their versions failed, and the
    state of each."""
    known = {
        ref: found.stacks[ref].status for ref in refs if ref in found.stacks
    }
    return {
        ref: status
        for ref, status in known.items()
        if status.endswith("_IN_PROGRESS")
    }


def tell_in_progress(stuck: Mapping[Ref, str]) -> str:
    """What will happen to these when they are tried again; empty when there are none."""
    if not stuck:
        return ""
    first = next(iter(stuck))
    more = ""
    if len(stuck) > 1:
        more = f" and {len(stuck) - 1} more"
    return (
        f"Heat had the stack of {first}{more} in {stuck[first]}. The next try waits"
        " until Heat ends that. If an engine of Heat died over it, Heat never does:"
        f" delete the resource (orchestrator delete {first.type} {first.id}), or repair"
        " the stack in Heat."
    )


def ask(
    store: Store,
    found: Snapshot,
    chosen: list[Ref],
    verb: AskedVerb,
    *,
    force: bool,
) -> list[Written]:
    """Leave the requests; asking twice is asking once.

    :param force: the stack in Heat is to be taken as it is, whoever built it.
    """
    if told := tell_in_progress(in_progress(found, chosen)):
        hint(told)
    keys = found.keys
    asked = dict.fromkeys(chosen, RetryAsked(force))
    revisions = requesting.ask(store, keys, verb, asked)
    return [
        Written(
            ref,
            keys.below(keys.retries, ref),
            WriteResult.RETRIED,
            _version_of(found, ref),
            revisions[ref],
        )
        for ref in chosen
    ]


def read(store: Store, keys: Keys, meant: Selector) -> Snapshot:
    """What has to be known of those who are meant."""
    if meant.ref is None:
        return read_all(store, keys)
    return read_some(store, keys, [meant.ref])


def _version_of(found: Snapshot, ref: Ref) -> int:
    wanted, failed = found.wanted.get(ref), found.failed.get(ref)
    if wanted:
        return wanted.version
    if failed:
        return failed.version
    return 0
