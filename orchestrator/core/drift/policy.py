"""What a template says about drift of a resource."""

from __future__ import annotations

from ...errors import MappingError
from ..mapping.evaluate import Missing, plain
from ..planning.parameters import template_of
from ..policies import DRIFT, DRIFT_IGNORE, Policies, lenient
from ..records import Drift, DriftKind
from ..refs import Json
from ..resources import Wanted
from ..templates import Template
from ..world import World

MOST_CORRECTIONS = 3
"""How often drift is corrected by itself that comes back each time. Then a person has to look."""
_CORRECTED = frozenset(
    {
        DriftKind.LOST,
        DriftKind.UNTAGGED,
        DriftKind.UPDATED,
        DriftKind.TEMPLATE,
        DriftKind.PARAMETER,
    }
)
"""What building the version again puts right, without a person. A stack that is suspended or
failed a check is left alone by a job, and Heat's update compares no live properties."""


def policies_for(world: World, wanted: Wanted) -> Policies:
    """What the template of a resource says; the defaults where it cannot be said."""
    kind = world.schemas.get(wanted.ref.type)
    if kind is None:
        return Policies()
    template = template_of(world, wanted, kind)
    if not isinstance(template, Template):
        return Policies()
    scope = world.scope(wanted, kind)
    values: dict[str, Json] = {}
    for name, node in template.mappings:
        if name in (DRIFT, DRIFT_IGNORE):
            try:
                values[name] = plain(node, scope)
            except (Missing, MappingError):
                continue  # Whatever builds the version tells of it.
    return lenient(values)


def is_correctable(drift: Drift) -> bool:
    """Whether a rebuild by itself puts all of it right."""
    return (
        drift.shown
        and bool(drift.kinds)
        and _CORRECTED.issuperset(drift.kinds)
        and drift.corrections < MOST_CORRECTIONS
    )
