"""Drift: what Heat has otherwise than it was built. Values in, values out.

* ``orders``: the message that has a tenant's stacks compared;
* ``listing``: what Heat's list says of a stack, against our records (depth 1);
* ``naming``: the stacks in a list that are of our naming, which resources they may be, and
  what a person has left in Heat;
* ``requests``, ``properties``, ``outputs``: what a detailed look shows (depths 2, 3 and 4), of an
  ``inspected`` stack; ``alike`` says which values are the same in another spelling;
* ``policy``: what the template says about drift;
* ``telling``: what was found becomes the next record of a resource.
"""

from .inspected import Examined, Inspection, Skipped
from .listing import Baseline, KnownStack, compare_listed, is_suspicious, lost
from .naming import candidates, is_accepted, is_left, left, owner, unknown
from .orders import MOST_RESOURCES, SweepOrder, is_order
from .outputs import compare_outputs
from .policy import MOST_CORRECTIONS, is_correctable, policies_for
from .properties import Unsaid, compare_properties, said_by
from .requests import compare_request
from .telling import StackComparison, next_record

__all__ = [
    "MOST_CORRECTIONS",
    "MOST_RESOURCES",
    "Baseline",
    "Examined",
    "Inspection",
    "KnownStack",
    "Skipped",
    "StackComparison",
    "SweepOrder",
    "Unsaid",
    "candidates",
    "compare_listed",
    "compare_outputs",
    "compare_properties",
    "compare_request",
    "is_accepted",
    "is_correctable",
    "is_left",
    "is_order",
    "is_suspicious",
    "left",
    "lost",
    "next_record",
    "owner",
    "policies_for",
    "said_by",
    "unknown",
]
