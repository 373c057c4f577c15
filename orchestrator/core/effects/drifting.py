"""Transactions about drift: what a sweep found, and what people and the bridge make of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..keys import Keys
from ..records import Drift, Sweep
from ..refs import Ref
from ..transactions import Transaction, unchanged


@dataclass(frozen=True, slots=True)
class DriftBasis:
    """The mod revisions of the records that a comparison relied on; 0: there was none.

    *handled* changes with each new job on the resource, *stack* when one ends.
    """

    drift: int
    stack: int
    handled: int


def note_drift(
    keys: Keys, ref: Ref, drift: Drift | None, basis: DriftBasis
) -> Transaction:
    """What a sweep found of a resource; None: nothing, and there is a record to remove.

    It is written only if no operation of ours began or ended meanwhile.
    """
    key = keys.below(keys.drift, ref)
    requires = [
        unchanged(key, basis.drift),
        unchanged(keys.below(keys.handled, ref), basis.handled),
    ]
    if keys.is_placed(ref):
        stack = keys.below(keys.stacks, ref)
        requires.append(unchanged(stack, basis.stack))
    if drift is None:
        return Transaction(tuple(requires), deletes=(key,))
    return Transaction(tuple(requires), {key: drift.to_json()})


def accept_drift(key: str, drift: Drift, revision: int) -> Transaction:
    """A person accepts what differs, as it was seen."""
    accepted = replace(drift, accepted=True).to_json()
    return Transaction((unchanged(key, revision),), {key: accepted})


def note_correction(key: str, drift: Drift, revision: int) -> Transaction:
    """The bridge is about to correct what differs, once more."""
    corrected = replace(drift, corrections=drift.corrections + 1).to_json()
    return Transaction((unchanged(key, revision),), {key: corrected})


def end_sweep(key: str, sweep: Sweep, revision: int) -> Transaction:
    """A tenant's stacks were compared, or could not be.

    :param revision: of the record of the sweep before; 0 when there is none.
    """
    return Transaction((unchanged(key, revision),), {key: sweep.to_json()})


def forget_sweep(key: str) -> Transaction:
    """A tenant has no stack of ours any more: only the leader says so, by its fence."""
    return Transaction(deletes=(key,))


def end_asked_sweep(key: str, revision: int) -> Transaction:
    """What a person asked for has been compared."""
    return Transaction((unchanged(key, revision),), deletes=(key,))
