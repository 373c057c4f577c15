"""Drift: what Heat has otherwise than it was built. Values in, values out.

* ``orders``: the message that has a tenant's stacks compared;
* ``listing``: what Heat's list says of a stack, against our records (depth 1);
* ``naming``: the stacks in a list that are of our naming, and which resources they may be;
* ``telling``: what was found becomes the next record of a resource.
"""

from .listing import Baseline, KnownStack, compare_listed, is_suspicious, lost
from .naming import candidates, unknown
from .orders import MOST_RESOURCES, SweepOrder, is_order
from .telling import Comparison, next_record

__all__ = [
    "MOST_RESOURCES",
    "Baseline",
    "Comparison",
    "KnownStack",
    "SweepOrder",
    "candidates",
    "compare_listed",
    "is_order",
    "is_suspicious",
    "lost",
    "next_record",
    "unknown",
]
