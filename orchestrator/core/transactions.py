"""A transaction as a value: what it relies on, and what it writes if that still holds.

Whoever performs it (:mod:`orchestrator.clients.etcd`) adds nothing; whoever leads adds the fence of
its leadership with :meth:`Transaction.also`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

MOST_OPERATIONS = 128
"""Comparisons, and as many operations, that etcd takes in one transaction (its default
``--max-txn-ops``)."""
LARGEST = 512 * 1024
"""Characters of values in a transaction that is put together of several; etcd takes 1.5 MB of
bytes."""


@dataclass(frozen=True, slots=True)
class Require:
    """A condition on one key.

    ``mod``: its last write has revision *revision* (0: the key is not there). ``create``: the same
    of its creation. ``exists``: it is there.
    """

    key: str
    what: Literal["mod", "create", "exists"]
    revision: int = 0


def unchanged(key: str, revision: int) -> Require:
    """The key's last write is still the one of *revision*; 0 means that it is not there."""
    return Require(key, "mod", revision)


def same_incarnation(key: str, revision: int) -> Require:
    """The key was not removed (and perhaps made anew) since it was created at *revision*."""
    return Require(key, "create", revision)


def exists(key: str) -> Require:
    return Require(key, "exists")


def absent(key: str) -> Require:
    return Require(key, "mod", 0)


@dataclass(frozen=True, slots=True)
class Transaction:
    """All of *puts* and *deletes*, or none when a requirement does not hold.

    A put whose key is in *leased* vanishes with the writer's lease.
    """

    requires: tuple[Require, ...] = ()
    puts: Mapping[str, str] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()
    leased: frozenset[str] = frozenset()

    def also(self, *requires: Require) -> Transaction:
        """The same, relying on more."""
        return replace(self, requires=(*self.requires, *requires))

    @property
    def empty(self) -> bool:
        return not self.puts and not self.deletes


def merged(transactions: Iterable[Transaction]) -> Transaction:
    """All of several transactions, or none of them. They must not write the same keys."""
    listed = list(transactions)
    puts = {key: value for each in listed for key, value in each.puts.items()}
    deletes = tuple(key for each in listed for key in each.deletes)
    requires = tuple(require for each in listed for require in each.requires)
    return Transaction(
        requires,
        puts,
        deletes,
        frozenset[str]().union(*(each.leased for each in listed)),
    )


def grouped(
    wanted: Sequence[tuple[Transaction, Collection[str]]],
) -> list[list[int]]:
    """Which transactions, each with the keys that it reads, fit into one together: their positions,
    in order.

    None writes what another one of its group writes or reads, and no group is more than etcd takes.
    """
    groups: list[list[int]] = []
    written: set[str] = set()
    read: set[str] = set()
    compared = operations = size = 0
    for position, (transaction, keys) in enumerate(wanted):
        writes = transaction.puts.keys() | set(transaction.deletes)
        reads = set(keys)
        more = len(writes) + len(reads)
        weight = sum(map(len, transaction.puts.values()))
        fits = (
            compared + len(transaction.requires) <= MOST_OPERATIONS
            and operations + more <= MOST_OPERATIONS
            and size + weight <= LARGEST
            and not (writes & written or writes & read or reads & written)
        )
        if not groups or not fits:
            groups.append([])
            written, read = set(), set()
            compared = operations = size = 0
        groups[-1].append(position)
        written |= writes
        read |= reads
        compared += len(transaction.requires)
        operations += more
        size += weight
    return groups
