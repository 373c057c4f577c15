"""What each command makes of the record of a roll-out, and writes in one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from ...clients.store import KeyValue, Store, revision_of
from ...core.keys import Keys
from ...core.records import (
    MOST_CANARIES,
    UNREADABLE,
    Rollout,
    RolloutPhase,
    TemplateRevision,
)
from ...core.refs import Json, Ref
from ...core.templates import TEMPLATE_TYPE, Template, parse_template
from ...core.transactions import Require, Transaction, unchanged
from ...errors import InvalidInput
from .. import templates, writing
from ..documents import value_of
from ..entries import is_entry
from ..planning import edits
from ..verbs.authors import AskedVerb

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class RolloutFound:
    """The record of a template's last roll-out, and what it was read with."""

    store: Store
    keys: Keys
    template: str
    kv: KeyValue | None
    asked: AskedVerb | None = None
    """Who changes it, and why."""

    @classmethod
    def of(
        cls,
        store: Store,
        keys: Keys,
        template: str,
        asked: AskedVerb | None = None,
    ) -> RolloutFound:
        kv = store.get(keys.rollout(template))
        return cls(store, keys, template, kv, asked)

    @property
    def rollout(self) -> Rollout:
        """:raises InvalidInput: there has been none, or it cannot be read."""
        if self.kv is None:
            raise InvalidInput(
                f"template {self.template} has no roll-out; see `orchestrator rollout"
                " list`"
            )
        try:
            return Rollout.from_json(self.kv.value)
        except UNREADABLE as error:
            raise InvalidInput(
                f"{self.kv.key} cannot be read ({error!r}): another release wrote it"
            ) from error

    def write(
        self,
        rollout: Rollout,
        puts: Mapping[str, str] | None = None,
        requires: tuple[Require, ...] = (),
    ) -> Rollout:
        """Write the record, and that of the verb, if it is still the one that was read.

        :raises InvalidInput: somebody else has written one of the keys meanwhile.
        """
        key = self.keys.rollout(self.template)
        same = unchanged(key, revision_of(self.kv))
        record = self.asked.done(self.keys, None) if self.asked else {}
        written = Transaction(
            (same, *requires),
            {**(puts or {}), **record, key: rollout.to_json()},
        )
        if not self.store.commit(written):
            raise InvalidInput(
                f"the roll-out of template {self.template}, or the template, was written"
                " by somebody else meanwhile: look at it again"
            )
        return rollout

    def revision_in_force(self) -> str:
        """The revision that the leader wrote last; empty when none is kept."""
        folder = self.keys.revisions_of(self.template)
        listed = self.store.list(folder, keys_only=True)[1]
        newest = max(listed, key=lambda kv: kv.revision, default=None)
        if newest is None:
            return ""
        return self.keys.revision_of(newest.key)[1]


def pushing(
    found: RolloutFound, content: Mapping[str, Json]
) -> tuple[dict[str, str], tuple[Require, ...]]:
    """What puts a template in force: the key and value, and what they rely on."""
    key = found.keys.template(found.template)
    there = found.store.get(key)
    version = 1
    if there is not None:
        version = writing.stored(there.value).version + 1
    body = {"id": found.template, **content}
    value = value_of(body, version)
    return {key: value}, (unchanged(key, revision_of(there)),)


# What is begun -----------------------------------------------------------------------------------


def template_in(keys: Keys, name: str, file: str) -> Template:
    """The template of a file or folder.

    :raises InvalidInput: it is not there, or has faults.
    """
    folder = Path(file)
    if folder.is_dir() and is_entry(folder.resolve()):
        whole = folder.resolve()
        templates.refuse_faulty(whole.parent, [whole.name], keys.schemas)
    puts = edits.of_command(keys, (), [file], ()).puts
    body = puts.get(Ref(TEMPLATE_TYPE, name))
    if body is None:
        there = ", ".join(str(ref) for ref in puts) or "nothing"
        raise InvalidInput(
            f"{file}: expected the template {name}; there is {there}"
        )
    return parse_template(name, body)


def begin(found: RolloutFound, rollout: Rollout, template: Template) -> Rollout:
    """Write the record, and the template where it is promoted at once.

    :param found: its store may be an overlay, for a plan.
    """
    revision = TemplateRevision.of(template, rollout.since)
    key = found.keys.candidate(template.id, rollout.id)
    puts, requires = {key: revision.to_json()}, ()
    if rollout.promoted and rollout.before != rollout.revision:
        pushed, relies = pushing(found, template.source)
        return found.write(rollout, {**puts, **pushed}, relies)
    return found.write(rollout, puts, requires)


def refuse_if_under_way(found: RolloutFound) -> None:
    """:raises InvalidInput: the last roll-out of the template is not over."""
    if found.kv is not None and not found.rollout.over:
        raise InvalidInput(
            f"a roll-out of template {found.template} is under way"
            f" ({found.rollout.phase.value}); abort or revert it first"
        )


def parse_waves(text: str) -> tuple[int, ...]:
    """``10%,50%,100%``

    :raises InvalidInput: it is not of that form.
    """
    parts = [part.strip().removesuffix("%") for part in text.split(",")]
    numbers = [int(part) for part in parts if part.isdecimal()]
    rises = all(a < b for a, b in pairwise(numbers))
    whole = len(numbers) == len(parts) and numbers[-1] == 100
    if not whole or not rises or numbers[0] < 1:
        raise InvalidInput(
            f"--waves {text}: expected rising shares that end with 100%, such as"
            " 10%,50%,100%"
        )
    return tuple(numbers)


def parse_seconds(text: str) -> float:
    """``60``, ``60s``, ``5m``, ``1h``

    :raises InvalidInput: it is not of that form.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smh]?)", text.strip())
    if match is None:
        raise InvalidInput(
            f"--min-healthy {text}: expected a time such as 60s, 5m or 1h"
        )
    return float(match[1]) * _SECONDS[match[2]]


def check_canaries(number: int, *, auto_revert: bool) -> None:
    """:raises InvalidInput: there can be no such number."""
    if number > MOST_CANARIES:
        raise InvalidInput(
            f"--canary {number}: at most {MOST_CANARIES} stacks can be canaries"
        )
    if auto_revert and not number:
        raise InvalidInput(
            "--auto-revert rebuilds the canaries from the revision before: say how many"
            " there are with --canary N. Later waves are reverted by `orchestrator"
            " rollout revert`"
        )


# What is decided about one that is under way -----------------------------------------------------


def pause(found: RolloutFound) -> Rollout:
    rollout = _under_way(found)
    return found.write(replace(rollout, paused=True))


def resume(found: RolloutFound) -> Rollout:
    """Go on after a pause, or after the cause of a stop was repaired."""
    rollout = _under_way(found)
    if rollout.phase is RolloutPhase.STOPPED:
        rollout = rollout.into(rollout.stage)
    return found.write(replace(rollout, paused=False))


def promote(found: RolloutFound) -> Rollout:
    """Put the new revision in force, and begin the waves."""
    rollout = _under_way(found)
    if rollout.phase is not RolloutPhase.WAITING:
        raise InvalidInput(
            f"the roll-out of template {rollout.template} is in phase"
            f" {rollout.phase.value}: it can be promoted once its canaries are done"
        )
    key = found.keys.candidate(rollout.template, rollout.id)
    puts, requires = pushing(found, _content(found, key))
    promoted = replace(
        rollout.into(RolloutPhase.WAVES), promoted=True, paused=False
    )
    return found.write(promoted, puts, requires)


def abort(found: RolloutFound) -> Rollout:
    """End it, and leave all stacks as they are."""
    rollout = _under_way(found)
    return found.write(
        replace(rollout.into(RolloutPhase.ABORTED), paused=False)
    )


def revert(found: RolloutFound) -> Rollout:
    """Rebuild from the revision before what was built from the new one."""
    rollout = found.rollout
    if rollout.stage in (RolloutPhase.REVERTING, RolloutPhase.REVERTED):
        raise InvalidInput(
            f"the roll-out of template {rollout.template} is {rollout.phase.value}"
            " already"
        )
    if rollout.before == rollout.revision:
        raise InvalidInput(
            "there is no revision before to go back to: the template was pushed before"
            " the roll-out began"
        )
    back = replace(
        rollout.into(RolloutPhase.REVERTING, "a person asked for it"),
        stopped_in=None,
        promoted=False,
        paused=False,
    )
    if not rollout.promoted:
        return found.write(back)
    if found.revision_in_force() != rollout.revision:
        raise InvalidInput(
            f"another revision of template {rollout.template} is in force: push the one"
            " that you want, and `orchestrator rebuild --template"
            f" {rollout.template}`"
        )
    key = found.keys.revision(rollout.template, rollout.before)
    puts, requires = pushing(found, _content(found, key))
    return found.write(back, puts, requires)


def _under_way(found: RolloutFound) -> Rollout:
    rollout = found.rollout
    if rollout.over:
        raise InvalidInput(
            f"the roll-out of template {rollout.template} is over"
            f" ({rollout.phase.value})"
        )
    return rollout


def _content(found: RolloutFound, key: str) -> Mapping[str, Json]:
    """The content of a stored revision.

    :raises InvalidInput: it is not there any more.
    """
    kv = found.store.get(key)
    try:
        if kv is not None:
            return TemplateRevision.from_json(kv.value).content
    except UNREADABLE:
        pass
    raise InvalidInput(
        f"{key} is not there or cannot be read: push the revision that you want with"
        " `orchestrator templates push`"
    )
