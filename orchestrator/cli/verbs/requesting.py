"""Requests to the leading bridge, each written together with the record of who asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...clients.store import KeyValue, Store, revision_of
from ...core.keys import Keys
from ...core.records import RetryAsked
from ...core.refs import Ref
from ...core.transactions import Transaction, unchanged
from ...errors import StoreUnavailable
from .authors import AskedVerb

TOGETHER = 40
"""Requests in one transaction. Each is up to three operations, and etcd takes 128."""
_ATTEMPTS = 20
REPLACED = "replaced by a later request"
"""The outcome of a request that another one took the place of before a bridge had seen it."""


def ask(
    store: Store,
    keys: Keys,
    verb: AskedVerb,
    requests: Mapping[Ref, RetryAsked],
) -> dict[Ref, int]:
    """Leave requests. Asking twice is asking once: the later one replaces the earlier.

    :returns: the revision of each request.
    :raises StoreUnavailable: etcd does not answer, or others write the same requests all the time.
    """
    revisions: dict[Ref, int] = {}
    refs = list(requests)
    for start in range(0, len(refs), TOGETHER):
        some = {ref: requests[ref] for ref in refs[start : start + TOGETHER]}
        revision = _ask_some(store, keys, verb, some)
        revisions |= dict.fromkeys(some, revision)
    return revisions


def _ask_some(
    store: Store,
    keys: Keys,
    verb: AskedVerb,
    requests: Mapping[Ref, RetryAsked],
) -> int:
    names = [keys.below(keys.retries, ref) for ref in requests]
    for _ in range(_ATTEMPTS):
        there = store.get_many(names)
        written = _transaction(keys, verb, requests, there)
        if revision := store.commit(written):
            return revision
    raise StoreUnavailable(
        "requests for the same resources are written by somebody else all the time;"
        " try again"
    )


def _transaction(
    keys: Keys,
    verb: AskedVerb,
    requests: Mapping[Ref, RetryAsked],
    there: Mapping[str, KeyValue],
) -> Transaction:
    """The requests and their records; and the outcome of the requests that they replace."""
    requires, puts = [], dict[str, str]()
    record = verb.record()
    for ref, asked in requests.items():
        key = keys.below(keys.retries, ref)
        before = there.get(key)
        requires.append(unchanged(key, revision_of(before)))
        puts[key] = replace(asked, audit=record).to_json()
        puts[keys.audit(ref, verb.id)] = record.to_json()
        puts |= _replaced(keys, ref, before, verb)
    return Transaction(tuple(requires), puts)


def _replaced(
    keys: Keys, ref: Ref, before: KeyValue | None, verb: AskedVerb
) -> dict[str, str]:
    if before is None:
        return {}
    audit = RetryAsked.from_json(before.value).audit
    if audit is None or audit.id == verb.id:
        return {}
    told = audit.with_outcome(REPLACED, verb.at)
    return {keys.audit(ref, audit.id): told.to_json()}
