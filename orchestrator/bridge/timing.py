"""How often and how many: what a term is led with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ..core.backoff import Backoff
from ..core.refs import Ref
from ..core.removals import BrakeLimits
from .deadlines import IN_HEAT_LONG, Limits

DELETION_BACKOFF = Backoff(initial=10.0, maximum=600.0)
"""Until a failed deletion of something whose config is gone is tried again."""


@dataclass(frozen=True, slots=True)
class Timing:
    """See the settings of the same names. Intervals and patience in seconds. A drift interval of 0
    means that there are no sweeps."""

    poll_interval: float = 1.0
    monitoring_interval: float = 60.0
    drift_interval: float = 600.0
    patience: float = 5.0
    tenant_requests: int = 32
    total_requests: int = 256
    limits: Limits = field(default_factory=Limits)
    in_heat_long: float = IN_HEAT_LONG
    deadlines_every: float = 5.0
    brake: BrakeLimits = field(default_factory=BrakeLimits)


class Later(Protocol):
    """Decide a resource again after some seconds; with *again* even if its version was handled."""

    def __call__(
        self, seconds: float, ref: Ref, *, again: bool = False
    ) -> None: ...


class TypesWatched(Protocol):
    """Whoever knows which resource types are in force (:class:`.schemas.SchemaKeeper`)."""

    @property
    def changed(self) -> bool:
        """Whether others are to be led with: the term is to end."""

    def ask(self) -> None:
        """Look at once whether there are others."""
