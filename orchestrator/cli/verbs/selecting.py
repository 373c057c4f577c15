"""Whom a command line names: ``TYPE [ID]``, ``--tenant``, ``--cause``, ``--template``, ``--all``.

Every verb takes the same words. Several of them together choose what meets all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from ...core.keys import Keys
from ...core.refs import Json, Ref
from ...errors import InvalidInput
from ...views.snapshot import Snapshot
from .. import naming
from ..output import DOUBT, Format, Section, count, emit, show

OfTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        help="All in this project.",
        metavar="ID",
        show_default=False,
    ),
]
OfCause = Annotated[
    str | None,
    typer.Option(
        "--cause",
        "--root",
        help="All that failed because of this resource.",
        metavar="TYPE:ID",
        show_default=False,
    ),
]
Everything = Annotated[
    bool, typer.Option("--all", help="All that the command can be about.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show what would happen, and write nothing."
    ),
]


@dataclass(frozen=True, slots=True)
class Selector:
    """Whom a command line names: one resource, or all that have what is named."""

    ref: Ref | None = None
    kind: str | None = None
    tenant: str | None = None
    cause: Ref | None = None
    template: str | None = None
    everything: bool = False

    @property
    def empty(self) -> bool:
        """Whether nobody is named."""
        named = (self.ref, self.kind, self.tenant, self.cause, self.template)
        return not self.everything and all(name is None for name in named)

    @property
    def words(self) -> str:
        """The same as words of a command line: ``port --tenant t1``."""
        options = (
            ("--tenant", self.tenant),
            ("--cause", self.cause),
            ("--template", self.template),
        )
        kind = self.ref or self.kind
        words = [str(kind)] if kind else []
        words += [f"{name} {value}" for name, value in options if value]
        if self.everything:
            words.append("--all")
        return " ".join(words)

    def of(
        self, found: Snapshot, candidates: Iterable[Ref], verb: str
    ) -> list[Ref]:
        """Those of the candidates that are meant, in order.

        :param verb: for the error.
        :raises InvalidInput: nobody is named.
        """
        if self.empty:
            raise InvalidInput(
                f"nothing to {verb}: name TYPE ID, a TYPE, --tenant ID, --cause"
                " TYPE:ID, or --all"
            )
        return sorted(ref for ref in candidates if self._means(found, ref))

    def _means(self, found: Snapshot, ref: Ref) -> bool:
        if self.ref not in (None, ref) or self.kind not in (None, ref.type):
            return False
        if self.tenant is not None and self.tenant != tenant_of(found, ref):
            return False
        if self.cause is not None:
            failed = found.failed.get(ref)
            if failed is None or failed.root != self.cause:
                return False
        handled = found.handled.get(ref)
        built_from = handled.template if handled else None
        return self.template in (None, built_from)


def tenant_of(found: Snapshot, ref: Ref) -> str | None:
    """The project of a resource: of its config, else of its stack."""
    if wanted := found.wanted.get(ref):
        return wanted.tenant
    if handled := found.handled.get(ref):
        return handled.tenant
    return None


def selector(
    keys: Keys,
    kind: str | None,
    resource_id: str | None,
    *,
    tenant: str | None = None,
    cause: str | None = None,
    template: str | None = None,
    everything: bool = False,
) -> Selector:
    """The words of a command line, understood.

    :raises InvalidInput: a type, an id or a cause cannot be one.
    """
    if cause and ":" not in cause:
        raise InvalidInput(
            f"--cause {cause}: expected TYPE:ID, such as --cause network:net-front"
        )
    kind, resource_id = naming.split(kind, resource_id)
    ref = None
    if kind and resource_id:
        ref, kind = naming.resource(keys, kind, resource_id), None
    return Selector(
        ref,
        naming.check_type(keys, kind) if kind else None,
        tenant,
        naming.resource(keys, *cause.split(":", 1)) if cause else None,
        template,
        everything,
    )


def tell_dry_run(
    would: str, refs: Sequence[Ref], output: Format, notes: Sequence[str] = ()
) -> None:
    """Show what a verb would be about, where nothing is written.

    :param would: ``would be retried``.
    :param notes: what is said of each of them, in the same order; empty: nothing.
    """
    said = list(notes) or [""] * len(refs)
    if output is not Format.TEXT:
        document: list[Json] = [
            {"type": ref.type, "id": ref.id, "result": would, "note": note}
            for ref, note in zip(refs, said, strict=True)
        ]
        emit(document, output)
        return
    rows = [
        (Text(would, DOUBT), str(ref), note)
        for ref, note in zip(refs, said, strict=True)
    ]
    total = f"{count(len(refs), 'resource')}. Nothing is written."
    columns = ("result", "resource", "note")
    show([Section("", columns, rows, wide=frozenset({"note"})), Text(total)])
