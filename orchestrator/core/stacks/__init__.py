"""What Heat answered, and what it means for the job that asked (CONTRACT section 6, FIELD section
9).

Heat answers before the work begins, so the first polls after an update may still show the end of
the previous operation.
Each request therefore carries two tags: one names the job, one the resource that owns the stack.
An end counts as ours when the stack carries the job's tag.
Where Heat keeps no tags at all, an end without any counts as ours too.

docs/stack-states.md is the table of all states and what follows from them; tests try each cell on a
real engine.

``shown`` is a stack as Heat shows it, ``asking`` says what to ask, ``judging`` how that stands.
"""

from .asking import (
    DELETE_ATTEMPTS,
    Asked,
    Create,
    Delete,
    Gone,
    Grounds,
    Leave,
    Request,
    Update,
    Wait,
    next_request,
)
from .judging import (
    ENGINE_WENT_DOWN,
    SETTLING,
    Complete,
    InProgress,
    Lost,
    Sight,
    StackFailed,
    Verdict,
    advice,
    judge,
)
from .shown import (
    OWNER_PREFIX,
    TAG_PREFIX,
    Stack,
    carries,
    owner_of,
    owner_tag,
    owns,
    tag,
    tags,
)

__all__ = [
    "DELETE_ATTEMPTS",
    "ENGINE_WENT_DOWN",
    "OWNER_PREFIX",
    "SETTLING",
    "TAG_PREFIX",
    "Asked",
    "Complete",
    "Create",
    "Delete",
    "Gone",
    "Grounds",
    "InProgress",
    "Leave",
    "Lost",
    "Request",
    "Sight",
    "Stack",
    "StackFailed",
    "Update",
    "Verdict",
    "Wait",
    "advice",
    "carries",
    "judge",
    "next_request",
    "owner_of",
    "owner_tag",
    "owns",
    "tag",
    "tags",
]
