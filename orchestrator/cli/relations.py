"""Resources that documents refer to and that are nowhere: worth a word, and no fault, for the order
of writing is free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..clients.store import Store
from ..core.checks.bodies import Shapes
from ..core.keys import Keys
from ..core.refs import Ref
from ..core.source import show_path
from .documents import Document
from .output import hint

_AT_ONCE = 100
"""Keys read together; etcd takes 128 operations in a transaction."""
_TENANT = "tenant_id"
"""Names a project of OpenStack, which need not be a resource."""


_TOLD = 20
"""Most hints that one command gives."""


@dataclass(frozen=True, slots=True)
class MissingReference:
    """A reference to something that is neither in etcd nor among the documents."""

    document: Document
    path: tuple[str | int, ...]
    ref: Ref

    def __str__(self) -> str:
        place = self.document.raw.where(self.path)
        return (
            f"{place}: {self.document.ref}: {show_path(self.path)}: {self.ref} is"
            " neither in etcd nor in these files; what needs it waits until it is"
            " written"
        )


def missing(
    store: Store, keys: Keys, documents: Sequence[Document], shapes: Shapes
) -> list[MissingReference]:
    """Every such reference, in the order of the documents."""
    own = {document.ref for document in documents}
    found = [
        lead
        for document in documents
        for lead in _leads(document, shapes, keys)
        if lead.ref not in own
    ]
    there = set(
        _existing(store, keys, dict.fromkeys(lead.ref for lead in found))
    )
    return [lead for lead in found if lead.ref not in there]


def _leads(
    document: Document, shapes: Shapes, keys: Keys
) -> Iterator[MissingReference]:
    for path, ref in shapes.of(document.ref.type).relations(document.body):
        kind = keys.schemas.get(ref.type)
        if (
            kind is None
            or not kind.is_resource
            or kind.pattern.needs_body
            or path == (_TENANT,)
            or "/" in ref.id
        ):
            continue
        yield MissingReference(document, ("body", *path), ref)


def _existing(store: Store, keys: Keys, refs: Iterable[Ref]) -> Iterator[Ref]:
    by_key = {keys.below(keys.config, ref): ref for ref in refs}
    listed = list(by_key)
    for start in range(0, len(listed), _AT_ONCE):
        for key in store.get_many(listed[start : start + _AT_ONCE]):
            yield by_key[key]


def tell_missing(
    store: Store, keys: Keys, documents: Sequence[Document], shapes: Shapes
) -> None:
    """Hints on stderr, one for each of the first such references."""
    found = missing(store, keys, documents, shapes)
    for lead in found[:_TOLD]:
        hint(str(lead))
    if len(found) > _TOLD:
        hint(f"… and {len(found) - _TOLD} more references to what is not there")
