"""``orchestrator drift``: where Heat differs from what was built, and what a person makes of it.

The command reads what the last sweeps have found. It asks for a new one by a record below our own
prefix: the leader sends it to a worker, which removes the record when it has compared.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from ..clients.inbox import WatchInbox
from ..clients.store import Store
from ..core import effects
from ..core.keys import Keys
from ..core.records import Depth, SweepAsked
from ..core.refs import Ref
from ..core.transactions import Transaction, merged
from ..errors import InvalidInput, TemporaryError
from ..views.drifts import DriftView, SweepView, drifts, sweeps
from ..views.reading import read_all
from ..views.snapshot import Snapshot
from . import naming
from .drift_table import drift_table
from .exits import Exit
from .options import Output
from .output import (
    DOUBT,
    FAINT,
    Format,
    Section,
    count,
    duration,
    emit,
    hint,
    show,
)
from .planning import rebuilding
from .session import session
from .verbs.authors import As, AskedVerb, Why, verb

_TOGETHER = 100
"""Requests in one transaction; etcd takes 128 operations."""


_NAMED = 6
"""How much of what was not compared is told to people."""


class Verb(StrEnum):
    """What is done about drift."""

    ACCEPT = "accept"
    """It is as it should be: it is not told any more."""
    CORRECT = "correct"
    """The version that is there is built again."""


@dataclass(frozen=True, slots=True)
class DriftMeant:
    """What a command line means: one resource, those of a type, or all."""

    ref: Ref | None = None
    kind: str | None = None
    verb: Verb | None = None

    def means(self, ref: Ref) -> bool:
        if self.ref is not None:
            return ref == self.ref
        return self.kind in (None, ref.type)


Now = Annotated[
    bool,
    typer.Option("--now", help="Compare with Heat's lists now, and wait."),
]
Deep = Annotated[
    bool,
    typer.Option(
        "--deep",
        help=(
            "Compare all of it now, and wait: also templates, parameters, properties"
            " and outputs."
        ),
    ),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="TYPE, TYPE ID or TYPE:ID; then accept or correct.",
        metavar="[TYPE [ID]] [accept|correct]",
        show_default=False,
    ),
]
LongestWait = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="Seconds to wait for a comparison at most.",
        min=0,
        metavar="SECONDS",
    ),
]


def command(
    words: Words = None,
    now: Now = False,
    deep: Deep = False,
    by: As = None,
    why: Why = None,
    timeout: LongestWait = 120.0,
    output: Output = Format.TEXT,
) -> None:
    """Show where Heat differs from what was built, and what was not compared.

    Answers 1 when something differs.
    `accept` says that it is as it should be: it is not told again before something else differs.
    `correct` builds the version that is there once more.

    **Examples**

        orchestrator drift
        orchestrator drift --now network
        orchestrator drift --deep network net-front
        orchestrator drift network net-front correct
    """
    with session() as doors:
        meant = _meant(doors.keys, words or [])
        found = read_all(doors.store, doors.keys)
        if now or deep:
            ask(doors.store, found, meant, _depth(deep), timeout)
            found = read_all(doors.store, doors.keys)
        chosen = choose(found, meant)
        if meant.verb is not None:
            asked = verb(f"drift {meant.verb}", by, why, " ".join(words or []))
            _decide(doors.store, found, meant.verb, chosen, asked)
            return
    _tell(found, meant, chosen, output)
    if chosen:
        raise typer.Exit(Exit.PROBLEM)


def _depth(deep: bool) -> Depth:
    if deep:
        return Depth.OUTPUTS
    return Depth.LISTS


def _decide(
    store: Store,
    found: Snapshot,
    decided: Verb,
    chosen: Sequence[DriftView],
    asked: AskedVerb,
) -> None:
    """Carry out what a person has decided.

    :raises InvalidInput: there is nothing to decide.
    """
    if not chosen:
        raise InvalidInput("nothing differs; see `orchestrator drift`")
    if decided is Verb.CORRECT:
        correct(store, found, chosen, asked)
        return
    accept(store, found, chosen, asked)
    show([Text(f"{count(len(chosen), 'resource')} accepted as they are.")])


def _meant(keys: Keys, words: Sequence[str]) -> DriftMeant:
    """:raises InvalidInput: there is no such type, or there are too many words."""
    verb = None
    if words and words[-1] in list(Verb):
        verb, words = Verb(words[-1]), words[:-1]
    if len(words) > 2:
        raise InvalidInput(
            f"too many words: {' '.join(words)}; expected TYPE ID, then accept or"
            " correct"
        )
    kind, resource_id = naming.split(*(*words, None, None)[:2])
    if kind is None:
        return DriftMeant(verb=verb)
    if resource_id is None:
        return DriftMeant(kind=naming.check_type(keys, kind), verb=verb)
    return DriftMeant(naming.resource(keys, kind, resource_id), verb=verb)


def choose(found: Snapshot, meant: DriftMeant) -> list[DriftView]:
    """The resources that are meant and differ."""
    return [one for one in drifts(found) if meant.means(one.ref)]


# Comparing now ------------------------------------------------------------------------------------


def ask(
    store: Store,
    found: Snapshot,
    meant: DriftMeant,
    depth: Depth,
    timeout: float,
) -> None:
    """Have what is meant compared now, and wait for it.

    :raises InvalidInput: there is no stack to compare.
    :raises TemporaryError: nobody has compared it in time.
    """
    name = secrets.token_hex(8)
    asked = list(_requests(found, meant, depth))
    if not asked:
        raise InvalidInput(
            "there is no stack to compare; see `orchestrator get`"
        )
    if found.leader is None:
        hint("No bridge leads; nothing is compared before one runs.")
    prefix = found.keys.sweeps_asked + name
    keys = {
        f"{prefix}-{number}": one.to_json() for number, one in enumerate(asked)
    }
    names = list(keys)
    for start in range(0, len(names), _TOGETHER):
        together = names[start : start + _TOGETHER]
        store.commit(Transaction(puts={key: keys[key] for key in together}))
    left = _wait(store, prefix, set(keys), found.revision + 1, timeout)
    if left:
        raise TemporaryError(
            f"not compared within {timeout:g} s: the stacks of"
            f" {count(left, 'project')}; is a worker running, and does Heat answer?"
        )


def _requests(
    found: Snapshot, meant: DriftMeant, depth: Depth
) -> Iterator[SweepAsked]:
    """A request for each project."""
    refs: dict[str, list[Ref]] = {}
    for ref, stack in found.stacks.items():
        if stack.live and meant.means(ref):
            refs.setdefault(stack.tenant, []).append(ref)
    named = meant.ref is not None or meant.kind is not None
    for tenant, listed in sorted(refs.items()):
        deeper: tuple[Ref, ...] = ()
        if named:
            deeper = tuple(sorted(listed))
        yield SweepAsked(tenant, depth, deeper)


def _wait(
    store: Store, prefix: str, keys: set[str], revision: int, timeout: float
) -> int:
    """Wait until the requests are gone; how many are left when the time is over."""
    end = time.monotonic() + timeout
    watch = store.watch([prefix], revision)
    inbox = WatchInbox(watch, "sweeps")
    try:
        while keys and (left := end - time.monotonic()) > 0:
            for event in inbox.take(left):
                if event.value is None:
                    keys.discard(event.key)
    finally:
        watch.close()
    return len(keys)


# Verbs --------------------------------------------------------------------------------------------


def accept(
    store: Store,
    found: Snapshot,
    chosen: Sequence[DriftView],
    asked: AskedVerb,
) -> None:
    """Accept what differs, as it was shown.

    :raises InvalidInput: a stack is lost.
    :raises TemporaryError: something else differs by now.
    """
    for one in chosen:
        if one.lost:
            raise InvalidInput(
                f"{one.ref} is lost, which cannot be accepted: build it again"
                f" (orchestrator drift {one.ref.type} {one.ref.id} correct), or"
                " delete the resource"
            )
    for one in chosen:
        key = found.keys.below(found.keys.drift, one.ref)
        revision = found.raw[key].revision
        accepted = effects.accept_drift(key, one.drift, revision)
        record = Transaction(puts=asked.done(found.keys, one.ref))
        if not store.commit(merged([accepted, record])):
            raise TemporaryError(
                f"{one.ref} was compared again meanwhile; look at `orchestrator"
                " drift` once more"
            )


def correct(
    store: Store,
    found: Snapshot,
    chosen: Sequence[DriftView],
    asked: AskedVerb,
) -> None:
    """Have the versions built again that are there."""
    refs: list[Ref] = []
    rows: list[tuple[str, str]] = []
    for one in chosen:
        why = rebuilding.cannot(found, one.ref)
        if why:
            rows.append((str(one.ref), f"left: {why}"))
        else:
            refs.append(one.ref)
            rows.append((str(one.ref), "will be rebuilt"))
    rebuilding.ask(store, found, refs, asked)
    show([Section("", ("resource", "result"), rows)])
    if len(refs) < len(chosen):
        raise typer.Exit(Exit.PROBLEM)


# Telling ------------------------------------------------------------------------------------------


def _tell(
    found: Snapshot,
    meant: DriftMeant,
    chosen: Sequence[DriftView],
    output: Format,
) -> None:
    swept = sweeps(found)
    accepted = [
        one
        for one in drifts(found, accepted=True)
        if one.drift.accepted and meant.means(one.ref)
    ]
    if output is not Format.TEXT:
        document = {
            "drifted": [one.to_json() for one in chosen],
            "accepted": [one.to_json() for one in accepted],
            "sweeps": [one.to_json() for one in swept],
        }
        emit(document, output)
        return
    parts: list[Section | Text] = []
    now = time.time()
    if chosen:
        parts += drift_table(chosen, now)
    else:
        parts.append(Text("Nothing is known to differ."))
    if accepted:
        parts.append(_accepted(accepted))
    show([*parts, *_compared(swept, now)])


def _accepted(accepted: Sequence[DriftView]) -> Text:
    """What a person has declared right, in a line."""
    names = ", ".join(str(one.ref) for one in accepted[:_NAMED])
    more = ""
    if len(accepted) > _NAMED:
        more = f" and {len(accepted) - _NAMED} more"
    return Text(f"Accepted, or released: {names}{more} (-o json).", FAINT)


def _compared(swept: Sequence[SweepView], now: float) -> Iterator[Text]:
    """How far the answer can be trusted."""
    never = [one for one in swept if not one.at]
    done = [one for one in swept if one.at]
    if done:
        stacks = sum(one.stacks for one in done)
        oldest = duration(now - min(one.at for one in done))
        yield Text(
            f"Compared: {count(stacks, 'stack')} of {count(len(done), 'project')},"
            f" the oldest {oldest} ago."
        )
    missing = list(
        dict.fromkeys(what for one in done for what in one.not_compared)
    )
    if missing:
        told = "; ".join(missing[:_NAMED])
        more = ""
        if len(missing) > _NAMED:
            more = f"; and {len(missing) - _NAMED} more (-o json)"
        yield Text(f"Not compared: {told}{more}.", FAINT)
    if never:
        told = ", ".join(one.tenant or "(none)" for one in never[:3])
        more = f" and {len(never) - 3} more" if len(never) > 3 else ""
        yield Text(f"Not compared yet: projects {told}{more}.", DOUBT)
    for one in done:
        if one.reason:
            told = f"Project {one.tenant} was not compared: {one.reason}"
            yield Text(told, DOUBT)
