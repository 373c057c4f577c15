"""Transactions of the leading bridge that are about no resource in particular."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .. import records
from ..keys import Keys
from ..schema_list import SchemaList
from ..transactions import (
    Transaction,
    unchanged,
)


def store_schemas(keys: Keys, listed: SchemaList) -> Transaction:
    """Put a schema list in force: only the leader does, so it relies on nothing but the fence.

    :raises InvalidInput: the list is too large.
    """
    return Transaction(
        puts={
            keys.schema_list: records.SchemasRecord.of(listed).to_json(),
            keys.schema_data: listed.data(),
        },
        deletes=(keys.schema_trouble,),
    )


def tell_trouble(
    keys: Keys, trouble: records.SchemaTrouble | None
) -> Transaction:
    """Say why a newer schema list is not in force, or that nothing is wrong."""
    if trouble is None:
        return Transaction(deletes=(keys.schema_trouble,))
    return Transaction(puts={keys.schema_trouble: trouble.to_json()})


def end_reload(keys: Keys, revision: int) -> Transaction:
    """An operator's request to read the schema list, as it was seen, has been dealt with."""
    return Transaction(
        requires=(unchanged(keys.schema_reload, revision),),
        deletes=(keys.schema_reload,),
    )


def store_durations(keys: Keys, found: records.Durations) -> Transaction:
    """Keep how long jobs have taken: only the leader measures it."""
    return Transaction(puts={keys.durations: found.to_json()})


def keep_revision(
    keys: Keys, revision: records.TemplateRevision
) -> Transaction:
    """A template came into force: only the leader writes its revisions, so it relies on nothing but
    the fence.

    :raises InvalidInput: the template is too large.
    """
    key = keys.revision(revision.template, revision.revision)
    return Transaction(puts={key: revision.to_json()})


def drop_revisions(
    keys: Keys, template_id: str, revisions: Iterable[str]
) -> Transaction:
    """No stack uses these revisions, and there are newer ones."""
    return Transaction(
        deletes=tuple(keys.revision(template_id, one) for one in revisions)
    )


def move_rollout(
    keys: Keys, rollout: records.Rollout, revision: int
) -> Transaction:
    """A roll-out goes on.

    :param revision: that of the record before: a person may have paused or ended it meanwhile.
    """
    key = keys.rollout(rollout.template)
    return Transaction((unchanged(key, revision),), {key: rollout.to_json()})


def drop_candidates(
    keys: Keys, template_id: str, rollouts: Iterable[str]
) -> Transaction:
    """No job builds from the revisions of these roll-outs any more."""
    return Transaction(
        deletes=tuple(keys.candidate(template_id, one) for one in rollouts)
    )


def hold_deletions(keys: Keys, brake: records.Brake) -> Transaction:
    """Too many configs have been removed: their stacks stay until a person has confirmed it."""
    return Transaction(puts={keys.brake: brake.to_json()})


def release_deletions(keys: Keys) -> Transaction:
    """All that were held are confirmed, or wanted again."""
    return Transaction(deletes=(keys.brake,))


def lead_for(keys: Keys, identity: records.Identity) -> Transaction:
    """What the bridge leads for from now on."""
    return Transaction(
        puts={keys.identity: identity.to_json()},
        deletes=(keys.identity_trouble, keys.identity_confirmed),
    )


def refuse_identity(
    keys: Keys, trouble: records.IdentityTrouble
) -> Transaction:
    """Say why nothing is decided."""
    return Transaction(puts={keys.identity_trouble: trouble.to_json()})


def end_pauses(
    keys: Keys,
    revision: int,
    left: records.Pauses,
    written: Mapping[str, str],
) -> Transaction:
    """The time of some pauses is over.

    :param revision: of the record as it was seen.
    :param left: the pauses that stay.
    :param written: the records of the verb, by their keys.
    """
    requires = (unchanged(keys.pauses, revision),)
    if not left:
        return Transaction(requires, written, (keys.pauses,))
    return Transaction(requires, {keys.pauses: left.to_json(), **written})
