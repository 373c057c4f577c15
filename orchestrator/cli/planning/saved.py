"""A plan in a file: kept by ``plan --save``, carried out by ``apply --plan``.

The file is the plan's document, what is to be written, and a seal over both. What is to be written
may hold secrets, so nobody but its owner may read the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...clients.store import Store
from ...core.documents import parse_json
from ...core.forecast.plans import FORMAT, Plan, digest
from ...core.keys import Keys
from ...core.refs import Json, Ref
from ...core.templates import TEMPLATE_TYPE
from ...core.transactions import LARGEST, Require, Transaction, unchanged
from ...errors import InvalidInput, PlanStale
from .. import writing
from ..writing import WriteResult, Written
from .making import MadePlan

_TOGETHER = 100
"""Comparisons, and writes, in one transaction; etcd takes 128."""
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan that was read from a file."""

    plan: Plan
    reads: Mapping[str, int]
    writes: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Moved:
    """A key that was written since a plan read it. *now*: 0 when it is gone."""

    key: str
    planned: int
    now: int

    def to_json(self) -> dict[str, Json]:
        return {"key": self.key, "planned": self.planned, "now": self.now}


class Stale(PlanStale):
    """What a plan was made from has changed.

    *moved* are the keys, *written* the keys that were written all the same: none, unless the change
    came between two transactions of one large plan.
    """

    def __init__(
        self, moved: Sequence[Moved], written: Sequence[Written] = ()
    ) -> None:
        names = "\n".join(one.key for one in moved)
        done = "nothing was written"
        if written:
            done = _partly(written)
        super().__init__(
            "the plan is stale: these keys were written since it was made;"
            f" {done}. Make the plan anew\n{names}"
        )
        self.moved, self.written = tuple(moved), tuple(written)


def _partly(written: Sequence[Written]) -> str:
    names = ", ".join(str(one.ref) for one in written)
    return f"the change came while the plan was written, after {names}"


# The file -----------------------------------------------------------------------------------------


def save(made: MadePlan, file: Path) -> None:
    """Keep a plan in a file that only its owner can read.

    :raises InvalidInput: the file cannot be written.
    """
    sealed = {**made.plan.to_json(), "writes": dict(made.writes)}
    text = json.dumps({**sealed, "seal": digest(sealed)}, indent=2)
    try:
        file.unlink(missing_ok=True)
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as opened:
            opened.write(text + "\n")
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror or error}") from error


def read(file: Path) -> Saved:
    """The plan of a file.

    :raises InvalidInput: it is none, of another release, or was changed by hand.
    """
    try:
        found = parse_json(file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file}: not a saved plan: {error}") from error
    if not isinstance(found, dict) or "plan" not in found:
        raise InvalidInput(
            f"{file}: not a saved plan; make one with `orchestrator plan --save`"
        )
    if found["plan"] != FORMAT:
        raise InvalidInput(
            f"{file}: the plan has form {found['plan']!r}, and this release knows"
            f" {FORMAT}; make it anew"
        )
    seal = found.pop("seal", None)
    if seal != digest(found):
        raise InvalidInput(
            f"{file}: the plan was changed after it was saved; make it anew"
        )
    writes = found.pop("writes")
    return Saved(Plan.from_json(found), found["reads"], writes)


# Carrying it out ----------------------------------------------------------------------------------


def moved(store: Store, reads: Mapping[str, int]) -> list[Moved]:
    """The keys that are not as a plan read them."""
    found: list[Moved] = []
    listed = list(reads)
    for start in range(0, len(listed), _TOGETHER):
        keys = listed[start : start + _TOGETHER]
        there = store.get_many(keys)
        for key in keys:
            now = there[key].revision if key in there else 0
            if now != reads[key]:
                found.append(Moved(key, reads[key], now))
    return found


def carry_out(
    store: Store, keys: Keys, saved: Saved, record: Mapping[str, str] = _NONE
) -> list[Written]:
    """Write what a plan says, if all that it was made from is as it was.

    All keys are looked at before the first write. Each transaction compares as many of them as
    etcd takes: a plan that relies on up to a hundred keys is written as a whole, or not at all.

    :param record: the record of the verb, which is written with the first transaction.
    :raises Stale: a key has moved.
    :raises InvalidInput: etcd refuses a value.
    """
    if there := moved(store, saved.reads):
        raise Stale(there)
    done: list[Written] = []
    reads = dict(saved.reads)
    for transaction in _transactions(saved, keys):
        puts = {**transaction.puts, **record}
        try:
            revision = store.commit(replace(transaction, puts=puts))
        except ValueError as error:
            raise InvalidInput(
                f"the plan cannot be written: {error}"
            ) from error
        if not revision:
            compared = {r.key: r.revision for r in transaction.requires}
            raise Stale(moved(store, compared) or moved(store, reads), done)
        done += _written(keys, transaction, saved, revision)
        record = _NONE
    return done


def _transactions(saved: Saved, keys: Keys) -> Iterator[Transaction]:
    """The writes of a plan, in as few transactions as etcd takes.

    The first one compares what the plan relies on, configs and templates first: people write those.
    A later one compares the configs and templates that were not written before it. What else was
    read may have moved by then, because the bridge deals with the first writes.
    """
    by_people = [key for key in saved.reads if keys.is_config(key)]
    others = [key for key in saved.reads if not keys.is_config(key)]
    compared, done = [*by_people, *others], set[str]()
    for chunk in _chunks(saved.writes):
        own = [key for key in chunk if key in saved.reads]
        rest = [key for key in compared if key not in done and key not in chunk]
        chosen = [*own, *rest][:_TOGETHER]
        yield Transaction(
            tuple(_as_read(saved, key) for key in chosen),
            {key: value for key, value in chunk.items() if value is not None},
            tuple(key for key, value in chunk.items() if value is None),
        )
        done |= chunk.keys()
        compared = by_people


def _as_read(saved: Saved, key: str) -> Require:
    return unchanged(key, saved.reads[key])


def _chunks(
    writes: Mapping[str, str | None],
) -> Iterator[dict[str, str | None]]:
    """Writes that fit into one transaction."""
    chunk: dict[str, str | None] = {}
    size = 0
    for key, value in writes.items():
        more = len(value or "")
        if chunk and (len(chunk) >= _TOGETHER or size + more > LARGEST):
            yield chunk
            chunk, size = {}, 0
        chunk[key] = value
        size += more
    if chunk:
        yield chunk


def _written(
    keys: Keys, transaction: Transaction, saved: Saved, revision: int
) -> Iterator[Written]:
    for key, value in transaction.puts.items():
        now = writing.stored(value.encode())
        result = WriteResult.CREATED
        if now.marked:
            result = WriteResult.MARKED
        elif saved.reads.get(key):
            result = WriteResult.UPDATED
        yield Written(_resource(keys, key), key, result, now.version, revision)
    for key in transaction.deletes:
        yield Written(_resource(keys, key), key, WriteResult.REMOVED)


def _resource(keys: Keys, key: str) -> Ref:
    template = keys.template_id(key)
    if template is not None:
        return Ref(TEMPLATE_TYPE, template)
    return keys.ref(keys.config, key) or Ref("", key)
