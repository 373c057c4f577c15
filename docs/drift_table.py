"""Write the table of docs/howto/drift.md: what of each type of the catalogue is compared.

    python docs/drift_table.py            rewrite the table in the page
    python docs/drift_table.py --check    exit 1 when the page is stale

The table is made from the worked cases of the catalogue and from what is known of Heat's types, by
the code that compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.cli import cases, entries
from orchestrator.clients import catalogue, heat_types
from orchestrator.core.documents import members
from orchestrator.core.drift import Unsaid, said_by
from orchestrator.core.rendering import StackRequest
from orchestrator.core.source import read_hot

from made_tables import MadeTable

Names = dict[str, dict[str, None]]
"""Names of properties, in order, by the last part of their resource's type."""


@dataclass
class Covered:
    """What is compared of one type, and what is not."""

    compared: Names = field(default_factory=dict)
    skipped: Names = field(default_factory=dict)
    hidden: dict[str, None] = field(default_factory=dict)


def requests() -> Iterator[tuple[str, StackRequest]]:
    """What Heat is asked in each worked case, with the name of its type."""
    loaded = catalogue.load()
    for entry in entries.read(catalogue.default_folder()):
        for case in entry.cases:
            made = cases.make(entry.name, case, loaded.schemas, loaded.templates)
            if made is not None:
                yield entry.name, made.request


def covered() -> dict[str, Covered]:
    """By type, in order."""
    found: dict[str, Covered] = {}
    for name, request in requests():
        _take_in(found.setdefault(name, Covered()), request)
    return found


def _take_in(one: Covered, request: StackRequest) -> None:
    [document] = read_hot(request.template)
    template = members(document.value)
    parameters = members(template.get("parameters"))
    hidden = [name for name in parameters if members(parameters[name]).get("hidden")]
    one.hidden.update(dict.fromkeys(hidden))
    given = {**request.parameters, **dict.fromkeys(hidden, Unsaid("it is hidden"))}
    for resource in members(template.get("resources")).values():
        kind = str(members(resource).get("type"))
        for key, value in members(members(resource).get("properties")).items():
            said = _is_said(said_by(value, given))
            names = one.compared if said and _is_shown(kind, key) else one.skipped
            names.setdefault(kind.rpartition("::")[2], {})[key] = None


def _is_said(value: object) -> bool:
    """Whether the template gives a value, or a list of values."""
    if isinstance(value, list):
        return not any(isinstance(one, dict) for one in value)
    return not isinstance(value, Unsaid)


def _is_shown(kind: str, key: str) -> bool:
    """Whether Heat can show a live value of that name: an attribute, or a field of all that the
    service shows."""
    known = heat_types.known().kinds.get(kind)
    return known is not None and bool({key, "show"} & known.attributes)


def table() -> str:
    """One row for each type that builds a stack."""
    rows = ["| type | compared | not compared |", "|---|---|---|"]
    for name, one in covered().items():
        skipped = {
            kind: {key: None for key in keys if key not in one.compared.get(kind, {})}
            for kind, keys in one.skipped.items()
        }
        rows.append(f"| `{name}` | {_names(one.compared)} | {_names(skipped)} |")
    return "\n".join(rows)


def _names(found: Names) -> str:
    told = (
        f"{kind}: {', '.join(f'`{name}`' for name in names)}"
        for kind, names in found.items()
        if names
    )
    return "; ".join(told) or "none"


PAGE = MadeTable("howto/drift.md", "drift_table.py", table)


if __name__ == "__main__":
    PAGE.run()
