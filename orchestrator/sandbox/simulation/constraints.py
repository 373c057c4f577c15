"""Constraints of Heat that look a name up in a cloud (`neutron.network`, `glance.image`, …) accept
any value here.

Constraints of pure form (`ip_addr`, `net_cidr`, `mac_addr`, …) stay Heat's own.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

NAMESPACE = "heat.constraints"

#: Constraints defined by Heat's clients ask a service; the common ones only look at the value.
CLIENTS = "heat.engine.clients."


class AnyValue:
    """Accepts every value: there is no cloud to know better."""

    message = "every value is accepted by the simulated cloud"

    def validate(self, value: Any, context: Any) -> bool:
        return True


def accepting() -> dict[str, type]:
    """`AnyValue` under the name of every constraint that would ask a cloud."""
    return {
        point.name: AnyValue
        for point in metadata.entry_points(group=NAMESPACE)
        if point.value.startswith(CLIENTS)
    }
